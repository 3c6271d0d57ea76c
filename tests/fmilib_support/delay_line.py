"""A longer cable: holds each Ethernet frame for a while between two interfaces.

    python delay_line.py NEAR FAR MILLISECONDS

It says "ready" once it forwards, and runs until it is killed.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque

ALL_FRAMES = 0x0003
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
SOL_PACKET = 263
FRAME_BYTES = 65_536
BUFFER_BYTES = 8 << 20
Held = deque[tuple[float, bytes]]


def tap(interface: str) -> socket.socket:
    """Return a socket that sees and sends all frames of an interface."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
    sock.bind((interface, ALL_FRAMES))
    index = socket.if_nametoindex(interface)
    request = index.to_bytes(4, sys.byteorder) + PACKET_MR_PROMISC.to_bytes(2, sys.byteorder)
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request + bytes(10))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    sock.setblocking(False)
    return sock


def take(source: socket.socket, held: Held, delay_s: float) -> None:
    """Take what came in, but not what this line itself sent out there."""
    while True:
        try:
            frame, address = source.recvfrom(FRAME_BYTES)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:
            held.append((time.monotonic() + delay_s, frame))


def give(sink: socket.socket, held: Held) -> None:
    """Let go of what is due."""
    while held and held[0][0] <= time.monotonic():
        sink.send(held.popleft()[1])


def main(near: str, far: str, milliseconds: str) -> None:
    """Forward until killed."""
    ends = tap(near), tap(far)
    ways: tuple[Held, Held] = (deque(), deque())
    delay_s = float(milliseconds) / 1000
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        due = min((held[0][0] for held in ways if held), default=None)
        left_s = None if due is None else max(0.0, due - time.monotonic())
        select.select(ends, (), (), left_s)
        for number, held in enumerate(ways):
            take(ends[number], held, delay_s)
            give(ends[1 - number], held)


if __name__ == "__main__":
    main(*sys.argv[1:])
