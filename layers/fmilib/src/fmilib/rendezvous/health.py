"""The answer to `GET /health`, on the port where ranks register."""

from __future__ import annotations

import asyncio
import json

MAX_REQUEST_BYTES = 4096
FIRST_BYTES = b"GET "


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, facts: dict[str, object]
) -> None:
    """Answer one HTTP request whose first four bytes were read, and nothing more.

    Raises:
        asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError: no proper request.
    """
    request = await reader.readuntil(b"\r\n\r\n")
    known = request.split(b" ", 1)[0] == b"/health"
    body = json.dumps(facts if known else {"error": "not found"}).encode()
    status = "200 OK" if known else "404 Not Found"
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()
