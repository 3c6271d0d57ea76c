"""A connection is cut off in any state, also when it has already gone."""

from __future__ import annotations

import asyncio
import socket

from fmilib.wire.disconnect import cut

MUCH = 8 << 20


async def _close_with_much_to_write() -> asyncio.StreamWriter:
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    reader, other = await asyncio.open_connection(sock=theirs)
    writer.write(bytes(MUCH))
    writer.close()
    assert len(await reader.read(-1)) == MUCH
    await writer.wait_closed()
    other.close()
    await other.wait_closed()
    return writer


def test_one_that_has_gone_after_its_last_write_is_left_alone() -> None:
    async def scenario() -> None:
        writer = await _close_with_much_to_write()
        cut(writer.transport)
        cut(writer.transport)

    asyncio.run(scenario())


def test_one_that_is_open_drops_what_is_still_to_be_written() -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(bytes(MUCH))
        cut(writer.transport)
        await asyncio.sleep(0)
        assert ours.fileno() == -1
        theirs.close()

    asyncio.run(scenario())
