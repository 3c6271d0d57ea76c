"""A plan in parts: each rank finds its own, all of it and nothing else, in a read or two."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, share_rows
from cosmic.contracts.plan_parts import pack_parts, part_of, read_part

LARGEST_PART = 64 << 10


def planned(rows: list[int], world_size: int, batch_size: int = 64) -> Plan:
    return Plan(
        run="run",
        dataset="s3://bucket/data/",
        model=PlannedModel(bucket="bucket", key="m", etag="e", bytes=1, sha256="0" * 64),
        partitions=tuple(
            PlannedPartition(
                bucket="bucket",
                key=f"data/survey/part-{i:05d}.safetensors",
                etag=f'"{hashlib.sha256(b"%d" % i).hexdigest()[:32]}"',
                bytes=26_214_400,
                rows=n,
                row_bytes=20_520,
            )
            for i, n in enumerate(rows)
        ),
        ranks=tuple(share_rows(rows, world_size, batch_size)),
        batch_size=batch_size,
        channel="direct",
        fmi_timeout_s=60,
        failed_rows_percent=0,
        gather=False,
        warnings=("slow",),
    )


class Reads:
    """Ranges of an object, as they are read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.bytes = data, [0]

    def __call__(self, offset: int, length: int) -> bytes:
        self.bytes.append(length)
        return self.data[offset : offset + length]


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=40).filter(any),
    st.integers(1, 12),
    st.integers(1, 130),
)
def test_each_rank_finds_its_slices_with_their_partitions(
    rows: list[int], world_size: int, batch_size: int
) -> None:
    plan = planned(rows, world_size, batch_size)
    packed = pack_parts(plan)
    assert packed == pack_parts(plan)
    for rank in plan.ranks:
        part = read_part(Reads(packed), rank.rank)
        assert part == part_of(plan, rank.rank)
        assert part.slices == rank.slices
        assert part.partitions == {s.partition: plan.partitions[s.partition] for s in rank.slices}
        assert (part.world_size, part.id_bytes) == (plan.world_size, plan.id_bytes)


def test_a_part_too_large_for_its_slot_takes_a_second_read() -> None:
    plan = planned([64] * 400, 2)
    reads = Reads(pack_parts(plan))
    assert read_part(reads, 1) == part_of(plan, 1)
    assert len(reads.bytes) == 3


@pytest.mark.parametrize("per_rank", [1, 4, 300])
def test_a_part_is_small_however_many_ranks_and_partitions_there_are(per_rank: int) -> None:
    plan = planned([1278] * 3000, 3000 // per_rank)
    packed = pack_parts(plan)
    for rank in (0, plan.world_size - 1):
        reads = Reads(packed)
        read_part(reads, rank)
        assert sum(reads.bytes) <= LARGEST_PART
    with pytest.raises(ValueError, match=r"expected rank|decompress"):
        read_part(lambda offset, length: packed[:length], 1)
