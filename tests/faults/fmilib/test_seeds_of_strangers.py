"""Strangers at every open port of 20 seeds: a job forms, counts right, and nothing is left behind.

A relayed connection begins at the port of the rendezvous like any other, so what is held there
stands for the relay too; what a proven rank may say to it is the fuzz targets' concern.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from fmilib.errors import FmiError
from fmilib.rendezvous import client
from fmilib.wire import control_handshake
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous
from fmilib_support.strangers import until_closed

SEEDS = int(os.environ.get("FMI_SEEDS", "20"))
CROWD = 8  # of each seed; together more than a rank lets be unproven at once
WAIT_S = 30.0
MAGICS = (b"FMIR", b"FMIL", b"FMI\x01", b"GET /")
Disturbance = Callable[[int, random.Random], list[socket.socket]]


def connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def say(sock: socket.socket, words: bytes) -> None:
    """Send, if the other side still listens."""
    try:
        sock.sendall(words)
    except OSError:
        return


def garbage(port: int, rng: random.Random) -> list[socket.socket]:
    """Say nonsense, most of it after a proper beginning."""
    made = [connection(port) for _ in range(4)]
    for sock in made:
        length = rng.choice([2, 40, 1 << 31]).to_bytes(4, "little")
        say(sock, rng.choice([b"", *MAGICS]) + rng.choice([b"", length]) + rng.randbytes(100))
    return made


def slow(port: int, rng: random.Random) -> list[socket.socket]:
    """Begin properly and never come to an end."""
    made = [connection(port) for _ in range(4)]
    for sock in made:
        magic = rng.choice(MAGICS)
        say(sock, magic[: rng.randrange(1, len(magic) + 1)])
    return made


def idle(port: int, rng: random.Random) -> list[socket.socket]:
    """Come in a crowd and say nothing."""
    return [connection(port) for _ in range(CROWD + rng.randrange(CROWD))]


DISTURBANCES: dict[str, Disturbance] = {"garbage": garbage, "slow": slow, "idle": idle}


def wait_until_empty(server: Rendezvous, descriptors: int) -> None:
    """Wait until a rendezvous holds no more than it did."""
    until = time.monotonic() + WAIT_S
    while server.health()["ranks"] or server.descriptors() > descriptors:
        assert time.monotonic() < until, (server.health(), server.descriptors(), descriptors)
        time.sleep(0.05)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_strangers_at_every_port_change_nothing(
    own_rendezvous: Rendezvous, job: str, name: str
) -> None:
    disturb, server = DISTURBANCES[name], own_rendezvous
    chances = [random.Random(seed) for seed in range(SEEDS)]  # noqa: S311
    server.health()
    before = server.descriptors()
    with ExitStack() as stack:
        crew = Ranks(server, job, 3)
        stack.callback(crew.close)
        held = [stack.enter_context(sock) for rng in chances for sock in disturb(server.port, rng)]
        crew.start("links_on_demand")
        for port in [port for rank in range(3) for port in crew.ask(rank)]:
            held += [stack.enter_context(sock) for rng in chances for sock in disturb(port, rng)]
        for sock in held if name == "slow" else []:
            say(sock, chances[0].randbytes(1))
        for rank in range(3):
            crew.tell(rank, "go")
        assert [total for total, _ in crew.values()] == [3, 3, 3]
    assert server.alive()
    wait_until_empty(server, before)


class Tape:
    """A connection to a rendezvous that keeps what was said over it."""

    def __init__(self, sock: socket.socket) -> None:
        self._stream = client.RawStream(sock)
        self.said = b""

    async def readexactly(self, count: int, /) -> bytes:
        return await self._stream.readexactly(count)

    def write(self, data: bytes, /) -> None:
        self.said += data
        self._stream.write(data)


async def _recorded(server: Rendezvous, job: str, secret: bytes) -> bytes:
    """Do the handshake of rank 0; return what it said, whether it was believed or not."""
    with connection(server.port) as sock:
        sock.setblocking(False)
        tape = Tape(sock)
        hello = {"job": job, "rank": 0, "size": 2, "generation": 0, "instance": "0" * 32}
        await control_handshake.join(tape, tape, hello, secret)
        return tape.said


def test_a_hello_that_is_played_again_is_never_believed(own_rendezvous: Rendezvous) -> None:
    server = own_rendezvous
    server.health()
    before = server.descriptors()
    for seed in range(SEEDS):
        rng, job = random.Random(seed), f"replay-{os.getpid()}-{seed}"  # noqa: S311
        said = asyncio.run(_recorded(server, job, server.secret(job)))
        cut = rng.randrange(1, len(said))
        with connection(server.port) as sock:
            for piece in (said[:cut], said[cut:]):
                say(sock, piece)
            heard = until_closed(sock)
        assert b"challenge" in heard
        assert b"welcome" not in heard
        assert server.health()["ranks"] == 0
    wait_until_empty(server, before)


def test_a_wrong_secret_is_refused_with_every_seed(own_rendezvous: Rendezvous) -> None:
    for seed in range(SEEDS):
        job = f"wrong-{os.getpid()}-{seed}"
        with pytest.raises(FmiError, match="did not prove"):
            asyncio.run(_recorded(own_rendezvous, job, random.Random(seed).randbytes(32)))  # noqa: S311
    assert own_rendezvous.health()["ranks"] == 0
