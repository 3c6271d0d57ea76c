"""Whatever lies in a store: a rank takes what was meant for that place, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmilib.channels.store.crypto import AuthenticatedStream, can_encrypt, seal, unseal
from fmilib.wire import frames
from fmilib.wire.payload_auth import AuthMode, offered

SECRET, EPOCH = bytes(range(32)), "0123456789abcdef" * 2
covers = st.sampled_from([AuthMode.SHA256, offered(full=True)])
encryptions = st.sampled_from([False, True] if can_encrypt() else [False])


def _stream(
    secret: bytes = SECRET,
    epoch: str = EPOCH,
    source: int = 0,
    tag: int = 0,
    cover: AuthMode = AuthMode.SHA256,
) -> AuthenticatedStream:
    return AuthenticatedStream(secret, epoch, source, 1, (0, tag), cover=cover)


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=5), covers, encryptions)
def test_messages_come_out_as_they_went_in(
    bodies: list[bytes], cover: AuthMode, encrypt: bool
) -> None:
    place = (SECRET, EPOCH, 0, 1, (0, 3))
    out, inn = (AuthenticatedStream(*place, cover=cover, encrypt=encrypt) for _ in range(2))
    for body in bodies:
        head, found = inn.unpack(out.pack(frames.message(3), body, len(body)))
        assert bytes(found) == body
        assert (head.length, head.total) == (len(body), len(body))


@given(st.binary(max_size=400))
def test_bytes_that_nobody_sealed_are_refused(raw: bytes) -> None:
    with pytest.raises(frames.GarbledError):
        _stream().unpack(raw)
    assert unseal(SECRET, "lead", raw) is None
    assert unseal(SECRET, "lead", b"FMIS" + raw) is None


@given(st.binary(min_size=1, max_size=300), covers, st.data())
def test_a_message_with_any_bit_changed_is_refused(
    body: bytes, cover: AuthMode, data: st.DataObject
) -> None:
    item = bytearray(_stream(cover=cover).pack(frames.message(0), body, len(body)))
    item[data.draw(st.integers(0, len(item) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(frames.GarbledError):
        _stream(cover=cover).unpack(bytes(item))


@given(st.integers(0, len(b"x" * 50) + frames.HEADER_BYTES - 1))
def test_a_message_cut_short_is_refused(length: int) -> None:
    item = _stream().pack(frames.message(0), b"x" * 50, 50)
    with pytest.raises(frames.GarbledError):
        _stream().unpack(item[:length])


@pytest.mark.parametrize(
    "other",
    [
        _stream(secret=bytes(32)),
        _stream(epoch="f" * 32),
        _stream(epoch=EPOCH[:8] + "f" * 24),
        _stream(source=2),
        _stream(tag=1),
    ],
)
def test_a_message_of_another_place_is_refused(other: AuthenticatedStream) -> None:
    with pytest.raises(frames.GarbledError):
        _stream().unpack(other.pack(frames.message(0), b"body", 4))


def test_a_message_is_taken_in_its_turn_only() -> None:
    out, inn = _stream(), _stream()
    first, second = (out.pack(frames.message(0), b"body", 4) for _ in range(2))
    with pytest.raises(frames.GarbledError, match="frame 1"):
        inn.unpack(second)
    inn.unpack(first)
    with pytest.raises(frames.GarbledError, match="frame 0"):
        inn.unpack(first)
    inn.unpack(second)


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.text(), st.text())
def test_a_record_serves_its_purpose_only(
    record: dict[str, int | str], purpose: str, other: str
) -> None:
    sealed = seal(SECRET, purpose, record)
    assert unseal(SECRET, purpose, sealed) == record
    if other != purpose:
        assert unseal(SECRET, other, sealed) is None
