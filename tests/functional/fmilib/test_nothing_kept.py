"""A connection that breaks is freed at once: nothing of it is left to the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

import pytest

import fmilib
from fmilib.rendezvous.health import FIRST_BYTES
from fmilib.rendezvous.server import Server
from fmilib.wire.control_frames import Courier
from fmilib.wire.control_handshake import join

DEPLOYMENT_SECRET = b"a secret of 32 bytes for the test"
JOB = "resets"
WITHIN_S = 10.0
RESET = struct.pack("ii", 1, 0)
WHO = {"job": JOB, "rank": 0, "size": 2, "generation": 0, "instance": "ab" * 16}
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SECRET = fmilib.derive_secret(DEPLOYMENT_SECRET, JOB)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _writers() -> int:
    return sum(type(thing) is asyncio.StreamWriter for thing in gc.get_objects())


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.01)


async def _in_a_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(len(FIRST_BYTES)))
    await asyncio.sleep(0.01)


async def _registered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    courier = Courier(reader, writer, *await join(reader, writer, WHO, SECRET))
    courier.post({"t": "register", "host": "127.0.0.1", "port": 1, "lease_s": 5.0, "epoch": 0})
    assert (await courier.read())["t"] == "welcome"


@pytest.mark.parametrize("talk", [_silent, _in_a_hello, _registered])
@pytest.mark.usefixtures("no_collector")
def test_the_server_keeps_nothing_of_a_connection_that_is_reset(talk: Talk) -> None:
    before = _writers()  # what other tests of this process have left

    async def scenario() -> None:
        server = Server(DEPLOYMENT_SECRET)
        async with server.listening("127.0.0.1", 0) as port, asyncio.timeout(WITHIN_S):
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await talk(reader, writer)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, RESET
                )
                writer.transport.abort()
                del reader, writer
            while server.facts()["connections"]:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            assert _writers() == before

    asyncio.run(scenario())


@pytest.mark.usefixtures("no_collector")
def test_tags_that_are_used_once_leave_nothing_behind() -> None:
    def queues() -> int:
        return sum(type(thing) is deque for thing in gc.get_objects())

    with fmilib.connect(0, 1) as comm:
        before = queues()
        for tag in range(50):
            request = comm.irecv(0, tag)
            comm.send(tag, 0, tag)
            assert request.wait() == tag
        del request
        gc.collect()  # a request and its end know each other
        assert queues() <= before + 1
