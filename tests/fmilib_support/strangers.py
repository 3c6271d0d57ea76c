"""What is seen by those who don't belong to a job."""

from __future__ import annotations

import socket


def until_closed(sock: socket.socket) -> bytes:
    """All that the other side sends until it hangs up."""
    heard = b""
    try:
        while piece := sock.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard
