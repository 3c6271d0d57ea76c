"""What the server does to a connection: name it, time it, fill it, keep it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct

from fmilib.wire.control_frames import Courier, Message

MAX_BACKLOG_BYTES = 4 << 20
_TCP_INFO_RTT_US = 68


def plain(peername: tuple[str, int]) -> tuple[str, int]:
    """Return an address as IPv4 if it is one, also when an IPv6 socket took the call."""
    host = ipaddress.ip_address(peername[0].partition("%")[0])
    mapped = host.ipv4_mapped if host.version == 6 else None
    return str(mapped or host), peername[1]


def round_trip_s(writer: asyncio.StreamWriter) -> float:
    """Return the kernel's smoothed round trip of a connection."""
    sock = writer.get_extra_info("socket")
    if writer.is_closing() or sock.fileno() < 0:
        return 0.0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_RTT_US + 4)
    (rtt_us,) = struct.unpack_from("@I", info, _TCP_INFO_RTT_US)
    return float(rtt_us) / 1e6


def post(courier: Courier, message: Message) -> None:
    """Queue a message for a rank; one that doesn't read what it is sent is dropped."""
    courier.post(message)
    if courier.backlog_bytes() > MAX_BACKLOG_BYTES:
        courier.abort()


def quicken(writer: asyncio.StreamWriter) -> None:
    """Have the kernel find out when the other end is gone."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
