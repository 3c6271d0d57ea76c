"""The frame: a fixed 96-byte header, then the payload.

The header says which call of which communicator and epoch a frame belongs to and what
that call is (operation, reduction, root, dtype, count), so two ranks that disagree find
out on the first message. It ends in a digest of the payload and a keyed tag over the
header itself: a receiver checks the tag before it reads, or makes room for, the payload.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum

from fmilib import keys

MAGIC = b"FMI\x01"
VERSION = 1
LAYOUT = struct.Struct("<4sBBBBIIIIiI8sQQQ16s16s")
HEADER_BYTES = LAYOUT.size
SIGNED_BYTES = HEADER_BYTES - 16
MAX_MESSAGE_BYTES = 1 << 36
MAX_COUNTER = 0xFFFFFFFF
NO_DIGEST = bytes(16)
NO_TYPE = bytes(8)


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


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as a rank called it: what every frame of it says.

    Attributes:
        operation: which one.
        sequence: the how-manieth collective of its context; 0 for point to point.
        reduction: code of the reduction, 0 for none.
        root: the root, -1 for none.
        dtype: 8 bytes that name the element type, zeros if it isn't agreed beforehand.
        count: elements that all ranks must agree on, 0 if they needn't.
        context: which communicator.
        tag: the user's tag of a point-to-point message.
    """

    operation: Operation
    sequence: int = 0
    reduction: int = 0
    root: int = -1
    dtype: bytes = NO_TYPE
    count: int = 0
    context: int = 0
    tag: int = 0

    @property
    def key(self) -> tuple[int, int, int]:
        """What a receiver looks for: collectives in order, messages by tag."""
        if self.operation is Operation.MESSAGE:
            return (self.context, 0, self.tag)
        return (self.context, 1, 0)

    def __str__(self) -> str:
        if self.operation is Operation.MESSAGE:
            return f"message(tag={self.tag})"
        facts = [f"root={self.root}"] if self.root >= 0 else []
        if self.dtype != NO_TYPE:
            facts += [f"dtype={self.dtype.rstrip(bytes(1)).decode(errors='replace')}"]
            facts += [f"count={self.count}"]
        if self.reduction:
            facts += [f"reduction #{self.reduction}"]
        name = self.operation.name.lower()
        return f"{name}({', '.join(facts)}) as collective {self.sequence}"


@dataclass(frozen=True, slots=True)
class Head:
    """The rest of a header: which part of the call's message this frame carries.

    Attributes:
        kind: data, or the end of the link.
        call: what the sender called.
        step: round or segment number, for diagnosis.
        epoch: the forming of the job that the link belongs to.
        length: payload bytes of this frame.
        total: payload bytes of the whole message that it is a part of.
        digest: of the payload; zeros if there is none.
    """

    kind: Kind
    call: Call
    step: int
    epoch: int
    length: int
    total: int
    digest: bytes


class GarbledError(ValueError):
    """Bytes that are no frame of this link: wrong magic, counter, tag, size or digest."""


def pack(head: Head, counter: int, key: bytes) -> bytes:
    """Return the 96 bytes of a header, signed with a link's key and its frame counter."""
    call = head.call
    operand = call.tag if call.operation is Operation.MESSAGE else call.sequence
    bare = LAYOUT.pack(
        MAGIC, VERSION, head.kind, call.operation, call.reduction, call.context, head.epoch,
        operand, head.step, call.root, counter & MAX_COUNTER, call.dtype, call.count, head.length,
        head.total, head.digest, NO_DIGEST,
    )[:SIGNED_BYTES]  # fmt: skip
    return bare + tag_of(bare, key)


def unpack(raw: bytes | bytearray | memoryview, counter: int, key: bytes) -> Head:
    """Check and read a header.

    Raises:
        GarbledError: it isn't the frame number `counter` of the holder of `key`.
    """
    signed = bytes(raw[:SIGNED_BYTES])
    if not keys.same(tag_of(signed, key), bytes(raw[SIGNED_BYTES:HEADER_BYTES])):
        raise GarbledError("a frame's tag is wrong")
    (magic, version, kind, operation, reduction, context, epoch, operand, step, root, number,
     dtype, count, length, total, digest, _) = LAYOUT.unpack(raw)  # fmt: skip
    if magic != MAGIC or version != VERSION or number != counter & MAX_COUNTER:
        raise GarbledError(f"frame {number} of version {version} in the place of frame {counter}")
    if length > total or total > MAX_MESSAGE_BYTES:
        raise GarbledError(f"{length} of {total} bytes, where {MAX_MESSAGE_BYTES} is the most")
    call = _call(operation, operand, reduction, root, dtype, count, context)
    return Head(Kind(kind), call, step, epoch, length, total, digest)


def _call(
    operation: int, operand: int, reduction: int, root: int, dtype: bytes, count: int, context: int
) -> Call:
    if operation == 0:
        return Call(Operation.MESSAGE, 0, reduction, root, dtype, count, context, operand)
    return Call(Operation(operation), operand, reduction, root, dtype, count, context)


def tag_of(signed: bytes, key: bytes) -> bytes:
    """Return the 16-byte keyed tag of a header's signed part."""
    return hashlib.blake2b(signed, key=key, digest_size=16).digest()


def digest_of(*parts: bytes | bytearray | memoryview) -> bytes:
    """Return the 16-byte digest of a payload; zeros if it is empty."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.digest()[:16] if any(len(part) for part in parts) else NO_DIGEST


def type_code(text: str) -> bytes:
    """Return 8 bytes for a dtype's name: itself if it fits, else a hash of it."""
    raw = text.encode()
    if len(raw) <= 8:
        return raw.ljust(8, b"\0")
    return b"#" + hashlib.sha256(raw).hexdigest()[:7].encode()
