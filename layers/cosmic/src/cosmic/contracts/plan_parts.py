"""A plan in parts, of which a rank reads its own, whatever the size of the run.

All parts are in one object. Rank r's is in the slot at r * `SLOT_BYTES`: its length, then the part
itself, compressed, or where it lies behind the slots if the slot is too small for it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from pydantic import TypeAdapter

from cosmic.contracts.plan import Plan, PlanPart, PlanSettings

SLOT_BYTES = 2048
LENGTH = struct.Struct("<I")
PLACE = struct.Struct("<Q")
ROOM = SLOT_BYTES - LENGTH.size
LARGEST = 64 << 20  # of one rank over a million partitions

_ADAPTER = TypeAdapter(PlanPart)


def part_of(plan: Plan, rank: int) -> PlanPart:
    """What a rank needs of a plan."""
    return next(_parts(plan, range(rank, rank + 1)))


def pack_parts(plan: Plan) -> bytes:
    """All ranks' parts as one object; the same plan gives the same bytes."""
    slots, behind = bytearray(plan.world_size * SLOT_BYTES), bytearray()
    for part in _parts(plan, range(plan.world_size)):
        text = zlib.compress(part.model_dump_json().encode(), 6)
        slot = LENGTH.pack(len(text))
        if len(text) <= ROOM:
            slot += text
        else:
            slot += PLACE.pack(len(slots) + len(behind))
            behind += text
        at = part.rank * SLOT_BYTES
        slots[at : at + len(slot)] = slot
    return bytes(slots + behind)


def read_part(read: Callable[[int, int], bytes], rank: int) -> PlanPart:
    """A rank's part, in one or two reads.

    Args:
        read: Gives bytes of the object from an offset on, by their number.

    Raises:
        ValueError: this is no part of a plan of this version, or another rank's.
    """
    slot = read(rank * SLOT_BYTES, SLOT_BYTES)
    (length,) = LENGTH.unpack_from(slot)
    if length > LARGEST:
        raise ValueError(f"a part of {length} bytes")
    if length <= ROOM:
        text = slot[LENGTH.size : LENGTH.size + length]
    else:
        text = read(PLACE.unpack_from(slot, LENGTH.size)[0], length)
    try:
        part = _ADAPTER.validate_json(zlib.decompress(text))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if part.rank != rank:
        raise ValueError(f"expected rank {rank}, found rank {part.rank}")
    return part


def _parts(plan: Plan, ranks: range) -> Iterator[PlanPart]:
    shared = {name: getattr(plan, name) for name in PlanSettings.model_fields}
    shared |= {"ignored_keys": (), "warnings": ()}  # for the status alone, and of any length
    id_bytes, world_size = plan.id_bytes, plan.world_size
    for rank in ranks:
        slices = plan.ranks[rank].slices
        yield PlanPart(
            **shared,
            world_size=world_size,
            id_bytes=id_bytes,
            rank=rank,
            slices=slices,
            partitions={s.partition: plan.partitions[s.partition] for s in slices},
        )
