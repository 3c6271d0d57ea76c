"""The one local port of a rank: it listens there, and also calls out from there.

Whoever looks at a rank from outside its network sees that port through the same address
translation, whether the rank called or was called; that is what hole punching needs.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from contextlib import suppress

Address = tuple[str, int]
LISTEN_BACKLOG = 256
_TAKEN = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EINVAL}


async def resolved(host: str, port: int) -> list[Address]:
    """Return the numeric addresses of a host, best first.

    Raises:
        OSError: its name is not known.
    """
    with suppress(ValueError):
        return [(str(ipaddress.ip_address(host)), port)]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(sockaddr[0]), int(sockaddr[1])) for *_, sockaddr in found]


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def route_from(remote: Address) -> str:
    """Return the local address from which `remote` is reached; nothing is sent.

    Raises:
        OSError: there is no route.
    """
    with socket.socket(family_of(remote[0]), socket.SOCK_DGRAM) as probe:
        probe.connect(remote)
        return str(probe.getsockname()[0])


def bound(host: str, port: int) -> socket.socket:
    """Return a non-blocking TCP socket at a port that other sockets of this rank share.

    Raises:
        OSError: the address can't be bound.
    """
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def listener(host: str) -> socket.socket:
    """Return a socket that listens at a free port.

    Raises:
        OSError: the address can't be bound.
    """
    sock = bound(host, 0)
    sock.listen(LISTEN_BACKLOG)
    return sock


async def connected(sock: socket.socket, remote: Address) -> socket.socket:
    """Connect a non-blocking socket and return it; it is closed if that fails.

    Raises:
        OSError: it can't be connected.
    """
    try:
        await asyncio.get_running_loop().sock_connect(sock, remote)
    except BaseException:
        sock.close()
        raise
    return sock


async def call(remote: Address) -> socket.socket:
    """Return a socket that is connected from any free port.

    Raises:
        OSError: it can't be connected.
    """
    sock = socket.socket(family_of(remote[0]), socket.SOCK_STREAM)
    sock.setblocking(False)
    return await connected(sock, remote)


async def call_from(local: Address, remote: Address) -> socket.socket:
    """Return a connected socket, from the local port if the kernel lets it, else from any.

    An earlier connection between the very same ports may still be dying; the port isn't
    worth waiting for.

    Raises:
        OSError: it can't be connected.
    """
    try:
        return await connected(bound(*local), remote)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
    return await call(remote)
