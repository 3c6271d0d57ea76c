"""The physical limit: two processes and one plain TCP socket over loopback."""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import time

PINGS, BLOCK_BYTES, BLOCKS = 3000, 256 << 10, 2000


def ping_pong_us() -> float:
    """Return the median time of one byte there and back, halved, in microseconds."""
    with _peer(_echo) as sock:
        times = []
        for _ in range(PINGS):
            began = time.perf_counter()
            sock.send(b"x")
            sock.recv(1)
            times.append(time.perf_counter() - began)
    return statistics.median(times) / 2 * 1e6


def bandwidth_gbs() -> float:
    """Return gigabytes (10⁹) a second one way, from the first send to the last byte's receipt."""
    block = bytes(BLOCK_BYTES)
    with _peer(_drain) as sock:
        began = time.perf_counter()
        for _ in range(BLOCKS):
            sock.sendall(block)
        sock.recv(1)
        took = time.perf_counter() - began
    return BLOCKS * BLOCK_BYTES / took / 1e9


def _peer(role: object) -> socket.socket:
    door = socket.create_server(("127.0.0.1", 0))
    context = multiprocessing.get_context("spawn")
    context.Process(target=role, args=(door.getsockname()[1],), daemon=True).start()  # type: ignore[arg-type]
    sock, _ = door.accept()
    door.close()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _echo(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while piece := sock.recv(1):
            sock.send(piece)


def _drain(port: int) -> None:
    into, left = bytearray(BLOCK_BYTES), BLOCKS * BLOCK_BYTES
    with socket.create_connection(("127.0.0.1", port)) as sock:
        while left:
            left -= sock.recv_into(into)
        sock.send(b"x")
