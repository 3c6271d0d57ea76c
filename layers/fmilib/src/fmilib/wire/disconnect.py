"""Ending a connection, whatever state it is in."""

from __future__ import annotations

import asyncio


def cut(transport: asyncio.WriteTransport) -> None:
    """Drop a connection and what is still to be written; one that has gone is left alone.

    A transport of Python 3.11 that closed after its last write raises when it is aborted again.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() != -1:
        transport.abort()


def let_go(error: BaseException) -> None:
    """Free what an error of a connection holds: the frames that hold the connection.

    asyncio keeps the error with the connection. Were each to hold the other, they would be the
    garbage collector's, which may log the error as one that nobody has seen.
    """
    error.__traceback__ = None
