"""Fuzzes the rendezvous: strangers' bytes, and nonsense from ranks that proved themselves."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fmilib.rendezvous.limits import Limits
from fmilib.rendezvous.server import Server
from fmilib.wire import control_handshake, keys
from fmilib.wire.control_frames import Courier, encode_plain

from .fmilib_fuzzing import SECONDS, broken, chance, seeds

pytestmark = pytest.mark.timeout(SECONDS + 60)
SECRET = bytes(range(32))
ANSWER_S = 10.0
MAX_ANSWER_BYTES = 4096
HELLO = {
    "t": "hello", "v": 1, "nonce": "00" * 32, "job": "job", "rank": 0, "size": 2,
    "generation": 0, "instance": "ab" * 8,
}  # fmt: skip
CLAIMED = ("rank", "size", "generation", "instance")
JOIN = {
    "t": "join", "host": "127.0.0.1", "port": 4000, "lease_s": 5.0, "epoch": 0, "own_port": True,
}  # fmt: skip
ORDERS: tuple[dict[str, Any], ...] = (
    JOIN,
    {"t": "want", "rank": 1},
    {"t": "punch", "rank": 1, "for_s": 0.1},
    {"t": "who"},
    {"t": "beat"},
    {"t": "relay", "rank": 1, "epoch": 1},
    {"t": "verdict", "kind": "lost", "rank": 1, "words": "gone"},
    {"t": "leave"},
)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 1 << 70, 1e308, float("nan"), float("inf"), "", "x" * 300, "\ud800",
    [], {}, [[0]], "127.0.0.1",
)  # fmt: skip


@asynccontextmanager
async def rendezvous() -> AsyncIterator[int]:
    """Serve, and fail at the end if anything went wrong that the server didn't expect."""
    unexpected: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unexpected.append(context))
    async with Server(SECRET, Limits(prove_s=ANSWER_S, memory_s=0.1)).listening(
        "127.0.0.1", 0
    ) as port:
        yield port
        assert b'"ok"' in await said(port, b"GET /health HTTP/1.1\r\n\r\n")
    assert not unexpected, unexpected[0].get("exception", unexpected[0])


async def said(port: int, raw: bytes) -> bytes:
    """Send bytes and return the answer; the server must hang up by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(ANSWER_S):
            writer.write(raw)
            writer.write_eof()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def odd(message: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a message with a field or two that are wrong, missing or too many."""
    changed = dict(message)
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice([*changed, "extra"])
        if rng.random() < 0.2:
            changed.pop(name, None)
        else:
            changed[name] = rng.choice(ODD)
    return changed


def test_strangers_bytes_are_answered_shortly_or_not_at_all() -> None:
    async def run() -> None:
        async with rendezvous() as port:
            for seed in seeds():
                with chance(seed) as rng:
                    answer = await said(port, broken(_opening(rng), rng))
                    assert len(answer) <= MAX_ANSWER_BYTES
                    assert b"welcome" not in answer

    asyncio.run(run())


def _opening(rng: random.Random) -> bytes:
    hello = encode_plain(odd(HELLO, rng))
    proof = encode_plain({"t": "proof", "proof": "00" * 32})
    return rng.choice((hello, hello + proof, b"GET /health HTTP/1.1\r\n\r\n"))


def test_nonsense_of_a_proven_rank_harms_nobody_else() -> None:
    async def run() -> None:
        welcomed = 0
        async with rendezvous() as port:
            for seed in seeds():
                with chance(seed) as rng:
                    welcomed += b'"welcome"' in await _proven(port, rng)
        assert welcomed

    asyncio.run(run())


async def _proven(port: int, rng: random.Random) -> bytes:
    """Register as odd a rank as can be, send nonsense, and return what the server said."""
    job = f"job-{rng.randrange(1 << 30)}"
    said_of_itself = odd({name: HELLO[name] for name in CLAIMED}, rng)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(ANSWER_S):
            session = await control_handshake.join(
                reader, writer, {**said_of_itself, "job": job}, keys.derive_secret(SECRET, job)
            )
            courier = Courier(reader, writer, *session)
            for message in [JOIN, *rng.choices(ORDERS, k=4)]:
                courier.post(odd(message, rng))
            writer.write(broken(json.dumps(JOIN).encode(), rng))
            writer.write_eof()
            return await reader.read()
    except (ConnectionError, asyncio.IncompleteReadError):
        return b""
    finally:
        writer.close()
