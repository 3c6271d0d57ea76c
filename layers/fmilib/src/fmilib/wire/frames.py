"""The frame: a fixed 96-byte header, then the payload.

The header carries a stamp: which call of which communicator this is, and what that call is
(operation, reduction, root, dtype, count). Ranks in the same call have the same 32 bytes, so
two that disagree find out on the first message. The header ends in a digest of the payload
and a keyed tag over all of itself: a receiver checks the tag before it reads, or makes room
for, the payload.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from fmilib.wire import keys

MAGIC = b"FMI\x01"
VERSION = 1
HEADER_BYTES = 96
SIGNED_BYTES = HEADER_BYTES - 16
STAMP_BYTES = 32
MAX_MESSAGE_BYTES = 1 << 36
MAX_COUNTER = 0xFFFFFFFF
NO_DIGEST = bytes(16)
NO_TYPE = bytes(8)
_HEADER = struct.Struct("<4sBBxx32sIIQQ16s")
_STAMP = struct.Struct("<BBHIIi8sQ")
_IN_ORDER = -1
Signer = hashlib.blake2b


class Kind(IntEnum):
    """What a frame is for."""

    DATA = 1
    BYE = 2
    POISON = 3


class Operation(IntEnum):
    """What a call is; MESSAGE is point to point."""

    MESSAGE = 0
    BARRIER = 1
    BCAST = 2
    GATHER = 3
    ALLREDUCE = 4
    REDUCE = 5
    SCATTER = 6
    ALLGATHER = 7
    ALLTOALL = 8
    REDUCE_SCATTER = 9
    SCAN = 10
    EXSCAN = 11
    REPORT = 12


_REPORT = int(Operation.REPORT)  # an enumeration's members are slow to look up


class Envelope(NamedTuple):
    """One operation as a rank called it.

    Attributes:
        stamp: the 32 bytes that every frame of it carries.
        queue: (context, tag) for messages, (context, -1) for collectives, which go in order.
    """

    stamp: bytes
    queue: tuple[int, int]


class Head(NamedTuple):
    """A header that was received and whose tag was right.

    Attributes:
        kind: data, or the end of the link.
        stamp: of the sender's call.
        length: payload bytes of this frame.
        total: payload bytes of the whole message that it is a part of.
        digest: of the payload; zeros if there is none.
    """

    kind: int
    stamp: bytes
    length: int
    total: int
    digest: bytes


class GarbledError(ValueError):
    """Bytes that are no frame of this link: wrong magic, epoch, counter, tag or size."""


def collective(
    operation: Operation,
    sequence: int,
    root: int = -1,
    reduction: int = 0,
    dtype: bytes = NO_TYPE,
    count: int = 0,
    context: int = 0,
    shape: int = 0,
) -> Envelope:
    """Return the call of a collective.

    Args:
        operation: which one.
        sequence: the how-manieth collective of its context.
        root: the root, -1 for none; or the `counts_code` of what isn't cut evenly.
        reduction: code of the reduction, 0 for none.
        dtype, count: element type (8 bytes) and elements, if all ranks must agree on them.
        context: which communicator.
        shape: `shape_code` of the array, if all ranks must agree on it.
    """
    stamp = _STAMP.pack(operation, reduction, shape, context, sequence, root, dtype, count)
    if operation == _REPORT:
        return Envelope(stamp, queue_of(stamp))
    return Envelope(stamp, (context, _IN_ORDER))


def message(tag: int, *, dtype: bytes = NO_TYPE, count: int = 0, context: int = 0) -> Envelope:
    """Return the call of a point-to-point message; that of an object has no dtype."""
    stamp = _STAMP.pack(Operation.MESSAGE, 0, 0, context, tag, -1, dtype, count)
    return Envelope(stamp, (context, tag))


def queue_of(stamp: bytes) -> tuple[int, int]:
    """Return the queue that a frame with this stamp belongs to."""
    operation, _, _, context, operand, *_ = _STAMP.unpack(stamp)
    if operation == Operation.REPORT:  # one that comes too late is in nobody's way
        return (context, _IN_ORDER - 1 - operand)
    return (context, operand if operation == Operation.MESSAGE else _IN_ORDER)


def collective_number(stamp: bytes) -> int | None:
    """Return the how-manieth collective of the whole job a stamp is; None if it is none."""
    operation, _, _, context, operand, *_ = _STAMP.unpack(stamp)
    return int(operand) if operation != Operation.MESSAGE and not context else None


def describe(stamp: bytes) -> str:
    """Return a stamp in words, for an error."""
    operation, reduction, shape, _, operand, root, dtype, count = _STAMP.unpack(stamp)
    known = operation in Operation.__members__.values()
    name = Operation(operation).name.lower() if known else f"operation {operation}"
    told = "counts #" if operation == Operation.REDUCE_SCATTER else "root="
    facts = [f"{told}{root}"] if root >= 0 else []
    if dtype != NO_TYPE:
        facts += [f"dtype={dtype.rstrip(bytes(1)).decode(errors='replace')}", f"count={count}"]
    if shape:
        facts += [f"shape #{shape}"]
    if reduction:
        facts += [f"reduction #{reduction}"]
    if operation == Operation.MESSAGE:
        return f"{name}({', '.join([f'tag={operand}', *facts])})"
    return f"{name}({', '.join(facts)}) as collective {operand}"


def pack(
    kind: int, stamp: bytes, length: int, total: int, digest: bytes,
    *, epoch: int, counter: int, signer: Signer,
) -> bytes:  # fmt: skip
    """Return the 96 bytes of a header, signed with a link's key, epoch and frame counter."""
    signed = _HEADER.pack(
        MAGIC, VERSION, kind, stamp, epoch, counter & MAX_COUNTER, length, total, digest
    )
    return signed + _tag(signed, signer)


def unpack(raw: bytes | memoryview, *, epoch: int, counter: int, signer: Signer) -> Head:
    """Check and read a header.

    Raises:
        GarbledError: it isn't the frame number `counter` of this epoch from the key's holder.
    """
    signed = bytes(raw[:SIGNED_BYTES])
    if not keys.same(_tag(signed, signer), bytes(raw[SIGNED_BYTES:HEADER_BYTES])):
        raise GarbledError("a frame's tag is wrong")
    magic, version, kind, stamp, its_epoch, number, length, total, digest = _HEADER.unpack(signed)
    if magic != MAGIC or version != VERSION:
        raise GarbledError(f"a frame of version {version}")
    if its_epoch != epoch or number != counter & MAX_COUNTER:
        raise GarbledError(f"frame {number} of epoch {its_epoch} in the place of frame {counter}")
    if length > total or total > MAX_MESSAGE_BYTES:
        raise GarbledError(f"{length} of {total} bytes, where {MAX_MESSAGE_BYTES} is the most")
    return Head(kind, stamp, length, total, digest)


def signer(key: bytes) -> Signer:
    """Return what makes the 16-byte tags of headers under a key of at most 64 bytes."""
    return hashlib.blake2b(key=key, digest_size=16)


def _tag(signed: bytes, signer: Signer) -> bytes:
    tag = signer.copy()
    tag.update(signed)
    return tag.digest()


def digest_of(*parts: bytes | bytearray | memoryview) -> bytes:
    """Return the 16-byte digest of a payload; zeros if it is empty."""
    if not any(len(part) for part in parts):
        return NO_DIGEST
    sha = hashlib.sha256(parts[0])
    for part in parts[1:]:
        sha.update(part)
    return sha.digest()[:16]


def shape_code(shape: tuple[int, ...]) -> int:
    """Return 16 bits for a shape: 0 for one dimension, whose length is the count."""
    if len(shape) == 1:
        return 0
    return int.from_bytes(hashlib.sha256(repr(shape).encode()).digest()[:2]) or 1


def counts_code(counts: Sequence[int]) -> int:
    """Return 31 bits for how many elements each rank gets."""
    digest = hashlib.sha256(repr(list(counts)).encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


def type_code(text: str) -> bytes:
    """Return 8 bytes for a dtype's name: itself if it fits, else a hash of it."""
    raw = text.encode()
    if len(raw) <= len(NO_TYPE):
        return raw.ljust(len(NO_TYPE), b"\0")
    return b"#" + hashlib.sha256(raw).hexdigest()[:7].encode()
