"""Fuzzes what a link reads: noise, broken frames, and lies that are properly signed."""

from __future__ import annotations

import random
import socket
import tracemalloc
from collections.abc import Iterator

import pytest

from fmilib.errors import MismatchError
from fmilib.links.link import Link, LinkKeys, LinkTrouble
from fmilib.links.transfer import IncomingMessage
from fmilib.stats import Stats
from fmilib.wire import frames, payload_auth
from fmilib.wire.frames import Kind, Operation
from fmilib.wire.payload_auth import AuthMode

from .fmilib_fuzzing import SECONDS, broken, chance, seeds

pytestmark = pytest.mark.timeout(SECONDS + 60)
KEY, EPOCH = bytes(range(32)), 7
CALL = frames.collective(Operation.GATHER, 1, root=0)
STAMPS = (
    CALL.stamp,
    frames.collective(Operation.BCAST, 2).stamp,
    frames.message(5).stamp,
    bytes(32),
    b"\xff" * 32,
)
MAX_HONEST_BYTES = 64 << 10
MAX_MEMORY_BYTES = 2 << 20


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MAX_MEMORY_BYTES


def stream(rng: random.Random, cover: AuthMode) -> bytes:
    """Return some frames as a peer with the right key may send them, not all of them honest."""
    seal, raw = payload_auth.seal(cover, KEY), b""
    for counter in range(rng.randrange(1, 5)):
        payload = rng.randbytes(rng.choice((0, 1, 90, 5000)))
        total = rng.choice((len(payload), len(payload), len(payload) + 100, MAX_HONEST_BYTES))
        kind = rng.choice((Kind.DATA, Kind.DATA, Kind.DATA, Kind.BYE, Kind.POISON, 0, 200))
        digest, parts = seal.wrap(counter, [payload])
        raw += frames.pack(
            kind, rng.choice(STAMPS), len(payload), total, digest,
            epoch=EPOCH, counter=counter, signer=frames.signer(KEY),
        )  # fmt: skip
        raw += b"".join(parts)
    return raw


def read_all(raw: bytes, cover: AuthMode, into: memoryview | None) -> int:
    """Read messages until the link gives up, as it must at the end of the stream; count them."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        theirs = socket.create_connection(door.getsockname())
        ours, _ = door.accept()
    with theirs, ours:
        messages = 0
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        link = Link(
            ours, 1, EPOCH, LinkKeys(KEY, KEY, cover), timeout_s=5.0, detect_s=5.0, stats=Stats()
        )
        while True:
            try:
                IncomingMessage(link, CALL, 0, into).run()
            except (LinkTrouble, MismatchError):
                return messages
            messages += 1


@pytest.mark.usefixtures("memory")
def test_broken_streams_end_the_link_and_nothing_else() -> None:
    messages = 0
    for seed in seeds():
        with chance(seed) as rng:
            cover, room = rng.choice(list(AuthMode)), rng.choice((None, None, 5000, 0))
            into = None if room is None else memoryview(bytearray(room))
            messages += read_all(broken(stream(rng, cover), rng), cover, into)
    assert messages


@pytest.mark.usefixtures("memory")
def test_a_header_without_the_key_is_never_believed() -> None:
    for seed in seeds():
        with chance(seed) as rng:
            raw = bytearray(stream(rng, AuthMode.SHA256)[: frames.HEADER_BYTES])
            bit = rng.randrange(8 * len(raw))
            raw[bit // 8] ^= 1 << bit % 8
            with pytest.raises(frames.GarbledError):
                frames.unpack(bytes(raw), epoch=EPOCH, counter=0, signer=frames.signer(KEY))
