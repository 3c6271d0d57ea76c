"""Blocks of rows over a real S3 API: every row, in order, bounded, and never of another version."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cosmic.errors import InputError
from cosmic.inference.rank import Progress, predict_block
from cosmic.manifest import Data, Model
from cosmic.partitions.stream import Block, BlockReader
from cosmic.plan import PlannedPartition, Slice, share_rows
from cosmic.store import Location, Store
from cosmic.survey import survey

ROWS = (100, 37, 0, 64)
BATCH = 16


@pytest.fixture
def columns(make_columns: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    return [make_columns(n, seed=n, size=8) for n in ROWS]


@pytest.fixture
def planned(
    store: Store,
    bucket: str,
    columns: list[dict[str, Any]],
    put_partition: Callable[..., Location],
) -> list[PlannedPartition]:
    for i, c in enumerate(columns):
        put_partition(f"d/{i}.safetensors", c)
    store.put(Location(bucket, "m"), b"m")
    data, model = Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m")
    return survey(store, data, model).partitions


@pytest.mark.parametrize("world_size", [1, 3, 20])
@pytest.mark.parametrize("block_bytes", [1, 50_000, 8 << 20])
def test_every_row_comes_once_in_order_whatever_the_block(
    store: Store,
    planned: list[PlannedPartition],
    columns: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    world_size: int,
    block_bytes: int,
) -> None:
    monkeypatch.setattr("cosmic.partitions.stream.BLOCK_BYTES", block_bytes)
    got: list[Block] = []
    for rank in share_rows(ROWS, world_size, BATCH):
        reader = BlockReader(store, planned, BATCH)
        blocks = list(reader.blocks(rank.slices))
        assert reader.bytes_read == sum(b.rows * planned[b.partition].row_bytes for b in blocks)
        got += blocks
    for name in columns[0]:
        found = np.concatenate([b.columns[name] for b in got])
        np.testing.assert_array_equal(found, np.concatenate([c[name] for c in columns]))
    assert all(b.start % BATCH == 0 for b in got)


def test_no_more_than_two_blocks_are_read_before_they_are_asked_for(
    store: Store, planned: list[PlannedPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic.partitions.stream.BLOCK_BYTES", 1)
    reader = BlockReader(store, planned, BATCH)
    blocks = reader.blocks([Slice(partition=0, start=0, stop=100)])
    next(blocks)
    blocks.close()
    assert reader.bytes_read <= 2 * BATCH * planned[0].row_bytes


def test_a_partition_that_changed_since_the_plan_is_refused(
    store: Store, planned: list[PlannedPartition]
) -> None:
    at = Location(planned[0].bucket, planned[0].key)
    store.put(at, store.get(at)[:-1] + b"\1")
    with pytest.raises(InputError, match="changed since the run was planned"):
        list(BlockReader(store, planned, BATCH).blocks([Slice(partition=0, start=0, stop=16)]))


def test_a_partition_that_is_gone_is_said(
    store: Store, s3: Any, planned: list[PlannedPartition]
) -> None:
    s3.delete_object(Bucket=planned[1].bucket, Key=planned[1].key)
    with pytest.raises(InputError, match="not-found"):
        list(BlockReader(store, planned, BATCH).blocks([Slice(partition=1, start=0, stop=16)]))


class Still:
    """An engine that must not be asked."""

    def predict(self, *_: Any) -> Any:
        raise AssertionError("predicted after the deadline")


def test_a_rank_stops_before_its_function_is_killed(columns: list[dict[str, Any]]) -> None:
    block = Block(0, 0, columns[0])
    with pytest.raises(InputError, match="out-of-time") as caught:
        predict_block(block, Still(), BATCH, Progress(), time.monotonic() + 5)  # type: ignore[arg-type]
    assert "world_size" in caught.value.hint
