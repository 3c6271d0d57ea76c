"""A link against tampering, replay and lies: no byte is believed that isn't proven."""

from __future__ import annotations

import asyncio
import os
import socket
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fmilib.errors import AuthError
from fmilib.links import handshake, transfer
from fmilib.links.handshake import Identity
from fmilib.links.link import Link, LinkKeys, LinkLost, Poisoned
from fmilib.links.transfer import IncomingMessage
from fmilib.stats import Stats
from fmilib.wire import frames, payload_auth
from fmilib.wire.frames import Kind, Operation
from fmilib.wire.payload_auth import AuthMode

KEY, OTHER_KEY, EPOCH = bytes(range(32)), bytes(32), 7
CALL = frames.collective(Operation.BCAST, 1, root=0)
ME = Identity("job", bytes(32), EPOCH, rank=0, size=4, full=True)


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        ours = socket.create_connection(door.getsockname())
        theirs, _ = door.accept()
        with ours, theirs:
            yield ours, theirs


def link(sock: socket.socket, epoch: int = EPOCH, cover: AuthMode = AuthMode.SHA256) -> Link:
    keys = LinkKeys(KEY, KEY, cover)
    return Link(
        sock, 1, epoch, keys, timeout_s=5.0, detect_s=5.0, stats=Stats()
    )  # fmt: skip


def frame(payload: bytes, cover: AuthMode = AuthMode.SHA256, **lies: Any) -> bytes:
    how: dict[str, Any] = {"epoch": EPOCH, "counter": 0, **lies}
    key, length = how.pop("key", KEY), how.pop("length", len(payload))
    digest, parts = payload_auth.seal(cover, key).wrap(how["counter"], [payload])
    signer = frames.signer(key)
    head = frames.pack(Kind.DATA, CALL.stamp, length, length, digest, signer=signer, **how)
    return b"".join([head, *parts])


def receive(into: Link, *, expected: bool = True) -> bytes:
    """Receive a payload whose length is expected, which is another way in, or isn't."""
    room = memoryview(bytearray(len(b"payload"))) if expected else None
    return bytes(transfer.receive(into, CALL, 0, room, None))


either_way = pytest.mark.parametrize("expected", [True, False])


@either_way
@pytest.mark.parametrize("cover", AuthMode)
def test_a_proper_frame_is_received(
    wire: tuple[socket.socket, socket.socket], cover: AuthMode, expected: bool
) -> None:
    wire[0].sendall(frame(b"payload", cover))
    assert receive(link(wire[1], cover=cover), expected=expected) == b"payload"


def test_a_frame_that_comes_in_pieces_is_received_too(
    wire: tuple[socket.socket, socket.socket],
) -> None:
    whole, receiver, room = frame(b"payload"), link(wire[1]), memoryview(bytearray(7))
    wire[0].sendall(whole[:50])
    assert not receiver.reader.take(CALL, room)
    wire[0].sendall(whole[50:])
    assert receive(receiver) == b"payload"


@either_way
@pytest.mark.parametrize("cover", [AuthMode.SHA256, AuthMode.GMAC])
@pytest.mark.parametrize("position", range(frames.HEADER_BYTES + 7))
def test_any_flipped_bit_is_noticed(
    wire: tuple[socket.socket, socket.socket], position: int, cover: AuthMode, expected: bool
) -> None:
    raw = bytearray(frame(b"payload", cover))
    raw[position] ^= 1 << (position % 8)
    wire[0].sendall(raw)
    with pytest.raises(LinkLost):
        receive(link(wire[1], cover=cover), expected=expected)


def test_a_payload_of_another_frame_is_noticed() -> None:
    one = payload_auth.seal(AuthMode.GMAC, KEY)
    assert one.digest(1, [b"payload"]) != one.digest(2, [b"payload"])
    assert one.digest(1, [b"pay", b"load"]) == one.digest(1, [b"payload"])


@pytest.mark.parametrize(
    "lies",
    [{"key": OTHER_KEY}, {"epoch": EPOCH + 1}, {"counter": 1}, {"length": 1 << 40}],
    ids=["another key", "another epoch", "another place", "too long"],
)
@either_way
def test_a_frame_from_elsewhere_is_noticed(
    wire: tuple[socket.socket, socket.socket], lies: dict[str, Any], expected: bool
) -> None:
    wire[0].sendall(frame(b"payload", **lies))
    with pytest.raises(LinkLost):
        receive(link(wire[1]), expected=expected)


@either_way
def test_a_frame_that_is_played_again_is_noticed(
    wire: tuple[socket.socket, socket.socket], expected: bool
) -> None:
    wire[0].sendall(frame(b"payload") * 2)
    receiver = link(wire[1])
    assert receive(receiver, expected=expected) == b"payload"
    with pytest.raises(LinkLost, match="in the place of"):
        receive(receiver, expected=expected)


def test_nothing_is_allocated_for_an_unproven_header(
    wire: tuple[socket.socket, socket.socket],
) -> None:
    receiver = link(wire[1])
    wire[0].sendall(frame(b"", key=OTHER_KEY, length=1 << 33))
    tracemalloc.start()
    try:
        with pytest.raises(LinkLost):
            IncomingMessage(receiver, CALL, 0).run()
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(20))
def test_noise_never_passes(wire: tuple[socket.socket, socket.socket], seed: int) -> None:
    rng = np.random.default_rng(seed)
    wire[0].sendall(rng.bytes(int(rng.integers(1, 500))))
    wire[0].close()
    with pytest.raises(LinkLost):
        receive(link(wire[1]), expected=seed % 2 == 0)


def test_poison_is_passed_on_and_ends_the_link(wire: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = link(wire[0]), link(wire[1])
    transfer.send(sender, CALL, [b"last words"])
    sender.poison(b"verdict")
    assert bytes(IncomingMessage(receiver, CALL, 0).run()) == b"last words"
    with pytest.raises(Poisoned) as told:
        IncomingMessage(receiver, CALL, 0).run()
    assert told.value.cause == "verdict"


# -- the handshake --------------------------------------------------------------


async def _both(
    wire: tuple[socket.socket, socket.socket], connector: Identity, acceptor: Identity
) -> tuple[Any, Any]:
    for sock in wire:
        sock.setblocking(False)

    async def hang_up(sock: socket.socket, work: Any) -> Any:
        try:
            return await work
        except (AuthError, OSError) as error:
            sock.close()
            return error

    async with asyncio.timeout(10.0):
        return await asyncio.gather(
            hang_up(wire[0], handshake.dial(wire[0], connector, acceptor.rank)),
            hang_up(wire[1], handshake.accept(wire[1], acceptor)),
        )


def test_two_ranks_of_one_job_agree_on_keys(wire: tuple[socket.socket, socket.socket]) -> None:
    dialled, accepted = asyncio.run(_both(wire, ME, replace(ME, rank=2)))
    assert accepted[0] == 0
    assert (dialled.send, dialled.receive) == (accepted[1].receive, accepted[1].send)
    assert dialled.send != dialled.receive


@pytest.mark.parametrize(
    ("connector", "acceptor", "cover"),
    [
        (AuthMode.GMAC, AuthMode.GMAC, AuthMode.GMAC),
        (AuthMode.GMAC, AuthMode.SHA256, AuthMode.SHA256),
        (AuthMode.SHA256, AuthMode.GMAC, AuthMode.SHA256),
        (AuthMode.NONE, AuthMode.NONE, AuthMode.NONE),
        (AuthMode.NONE, AuthMode.GMAC, None),
        (AuthMode.SHA256, AuthMode.NONE, None),
    ],
)
def test_both_sides_take_the_best_cover_that_both_know(
    connector: AuthMode, acceptor: AuthMode, cover: AuthMode | None
) -> None:
    assert payload_auth.agreed(acceptor, connector) == cover


def test_a_side_without_gmac_gets_sha256(
    wire: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    can = iter([AuthMode.GMAC, AuthMode.SHA256, AuthMode.GMAC])
    monkeypatch.setattr(payload_auth, "offered", lambda *, full, encrypt: next(can))
    dialled, accepted = asyncio.run(_both(wire, ME, replace(ME, rank=2)))
    assert dialled.cover == accepted[1].cover == AuthMode.SHA256


@pytest.mark.parametrize(
    "difference",

    [
        {"secret": os.urandom(32)}, {"job": "another"}, {"epoch": 8}, {"size": 5},
        {"full": False}, {"rank": 3},
    ],
    ids=["secret", "job", "epoch", "size", "integrity", "order"],
)  # fmt: skip
def test_whoever_differs_is_no_peer(
    wire: tuple[socket.socket, socket.socket], difference: dict[str, Any]
) -> None:
    found = asyncio.run(_both(wire, replace(ME, **difference), replace(ME, rank=2)))
    assert any(isinstance(one, AuthError) for one in found)
    assert all(isinstance(one, AuthError | OSError) for one in found)


@pytest.mark.parametrize("seed", range(20))
def test_a_recorded_dial_cannot_be_played_again(seed: int) -> None:
    said = asyncio.run(_record())
    assert len(said) > 100
    assert isinstance(asyncio.run(_replay(said)), AuthError)
    changed, at = bytearray(said), seed * len(said) // 20
    changed[at] ^= 1 << seed % 8
    assert isinstance(asyncio.run(_replay(bytes(changed))), AuthError)


async def _record() -> bytes:
    """Return what a rightful connector says, as somebody on the way hears it."""
    acceptor = replace(ME, rank=2)
    near, far = socket.socketpair()
    tap_in, tap_out = socket.socketpair()
    with near, far, tap_in, tap_out:
        for sock in (near, far, tap_in, tap_out):
            sock.setblocking(False)
        work = asyncio.gather(handshake.dial(near, ME, 2), handshake.accept(tap_out, acceptor))
        loop, said = asyncio.get_running_loop(), b""
        while not work.done():
            for source, sink in ((far, tap_in), (tap_in, far)):
                try:
                    piece = source.recv(4096)
                except BlockingIOError:
                    await asyncio.sleep(0)
                    continue
                said += piece if source is far else b""
                await loop.sock_sendall(sink, piece)
        await work
        return said


async def _replay(said: bytes) -> BaseException:
    attacker, victim = socket.socketpair()
    with attacker, victim:
        for sock in (attacker, victim):
            sock.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(attacker, said)
        async with asyncio.timeout(10.0):
            try:
                await handshake.accept(victim, replace(ME, rank=2))
            except AuthError as error:
                return error
    raise AssertionError("the replay was believed")


def test_an_encrypted_payload_is_not_on_the_wire(
    wire: tuple[socket.socket, socket.socket],
) -> None:
    secret = b"forty-two galaxies " * 10_000
    whole = frame(secret, AuthMode.CIPHER)
    assert len(whole) == frames.HEADER_BYTES + len(secret)
    assert b"galaxies" not in whole
    transfer.send(link(wire[0], cover=AuthMode.CIPHER), CALL, [b"forty-two ", b"galaxies"])
    sent = wire[1].recv(1000, socket.MSG_PEEK)
    assert b"galaxies" not in sent
    got = transfer.receive(link(wire[1], cover=AuthMode.CIPHER), CALL, 0, None, None)
    assert bytes(got) == b"forty-two galaxies"


@either_way
@pytest.mark.parametrize("place", [-1, -7, frames.SIGNED_BYTES - 1])
def test_a_changed_bit_of_an_encrypted_frame_ends_the_link(
    wire: tuple[socket.socket, socket.socket], place: int, expected: bool
) -> None:
    raw = bytearray(frame(b"payload", AuthMode.CIPHER))
    raw[place] ^= 1
    wire[0].sendall(raw)
    with pytest.raises(LinkLost):
        receive(link(wire[1], cover=AuthMode.CIPHER), expected=expected)


def test_poison_gets_through_encrypted(wire: tuple[socket.socket, socket.socket]) -> None:
    link(wire[0], cover=AuthMode.CIPHER).poison(b"the verdict")
    with pytest.raises(Poisoned, match="the verdict"):
        receive(link(wire[1], cover=AuthMode.CIPHER))


@pytest.mark.parametrize("other", [AuthMode.NONE, AuthMode.SHA256, AuthMode.GMAC])
def test_both_sides_encrypt_or_neither(other: AuthMode) -> None:
    assert payload_auth.agreed(AuthMode.CIPHER, other) is None
    assert payload_auth.agreed(other, AuthMode.CIPHER) is None
    assert payload_auth.agreed(AuthMode.CIPHER, AuthMode.CIPHER) is AuthMode.CIPHER
