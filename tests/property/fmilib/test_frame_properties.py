"""Headers: what was packed is read back; everything else is refused by its tag."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmilib.links import transfer
from fmilib.wire import frames

u32 = st.integers(0, 2**32 - 1)
keys = st.binary(min_size=32, max_size=32)
digests = st.binary(min_size=16, max_size=16)
lengths = st.integers(0, frames.MAX_MESSAGE_BYTES)
calls = st.builds(
    frames.collective,
    st.sampled_from([one for one in frames.Operation if one]),
    u32,
    root=st.integers(-1, 2**31 - 1),
    reduction=st.integers(0, 255),
    dtype=st.binary(min_size=8, max_size=8),
    count=st.integers(0, 2**63),
    context=u32,
) | st.builds(frames.message, st.integers(0, 2**31 - 1), context=u32)


@given(calls, lengths, lengths, digests, u32, st.integers(0, 2**40), keys)
def test_a_header_is_read_back(
    call: frames.Envelope, one: int, two: int, digest: bytes, epoch: int, counter: int, key: bytes
) -> None:
    length, total = sorted((one, two))
    link: dict[str, Any] = {"epoch": epoch, "counter": counter, "signer": frames.signer(key)}
    raw = frames.pack(frames.Kind.DATA, call.stamp, length, total, digest, **link)
    head = frames.unpack(raw, **link)
    assert len(raw) == frames.HEADER_BYTES
    assert frames.queue_of(head.stamp) == call.queue
    assert frames.describe(head.stamp)
    assert head == (frames.Kind.DATA, call.stamp, length, total, digest)


@given(st.binary(min_size=96, max_size=96), keys, u32)
def test_noise_is_no_header(noise: bytes, key: bytes, epoch: int) -> None:
    with pytest.raises(frames.GarbledError):
        frames.unpack(noise, epoch=epoch, counter=0, signer=frames.signer(key))


@given(st.lists(st.binary(max_size=50), max_size=12), st.integers(1, 40))
def test_segments_hold_all_bytes_in_order(parts: list[bytes], limit: int) -> None:
    groups = [b"".join(group) for group in transfer.segments(list(parts), limit)]
    assert b"".join(groups) == b"".join(parts)
    assert groups
    assert all(len(group) == limit for group in groups[:-1])
    assert len(groups[-1]) <= limit
    assert len(groups) == 1 or groups[-1]
