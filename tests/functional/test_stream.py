"""Blocks of rows over a real S3 API: every row, in order, bounded, and never of another version."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Model
from cosmic.contracts.plan import PlannedPartition, Slice, share_rows
from cosmic.data.ranges import GAP_SHARE, Window
from cosmic.data.stream import Block, BlockReader, pieces
from cosmic.errors import InputError
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine
from cosmic.planning.inputs import inspect_inputs
from cosmic.ranks.predict import Progress, predicted
from cosmic.storage.objects import Store

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
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
    return inspect_inputs(store, data, model).partitions


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
    monkeypatch.setattr("cosmic.data.stream.BLOCK_BYTES", block_bytes)
    got: list[Block] = []
    for rank in share_rows(ROWS, world_size, BATCH):
        reader = BlockReader(store, planned, BATCH)
        blocks = list(reader.blocks(rank.slices))
        assert reader.bytes_read >= sum(b.rows * planned[b.partition].row_bytes for b in blocks)
        got += blocks
    for name in columns[0]:
        found = np.concatenate([b.columns[name] for b in got])
        np.testing.assert_array_equal(found, np.concatenate([c[name] for c in columns]))
    assert all(b.start % BATCH == 0 for b in got)


class Requests(Store):
    """A store that notes what is asked of it."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.ranges: list[tuple[int, int]] = []

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        self.ranges.append((offset, len(target)))
        super().read_into(target, at, offset, etag=etag)


def test_what_is_held_is_bounded_whatever_the_partition(
    s3: Any,
    bucket: str,
    put_partition: Callable[..., Location],
    make_columns: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody takes a block: reading ahead stops at the bound, and goes on when one is taken."""
    block, ahead = 90_000, 350_000
    monkeypatch.setattr("cosmic.data.stream.BLOCK_BYTES", block)
    monkeypatch.setattr("cosmic.data.stream.AHEAD_BYTES", ahead)
    at = put_partition("d/0.safetensors", make_columns(4000, size=8))
    store = Requests(s3)
    store.put(Location(bucket, "m"), b"m")
    data, model = Data(partitions=(at.uri,)), Model(uri=f"s3://{bucket}/m")
    (planned,) = inspect_inputs(store, data, model).partitions
    store.ranges.clear()
    reader = BlockReader(store, [planned], 64)
    taken = 0
    with reader.blocks([Slice(partition=0, start=0, stop=4000)]) as blocks:
        for _ in range(20):
            in_flight = [future for _, future in blocks._pending]
            wait(in_flight, timeout=60)
            held = sum(f.result().rows for f in in_flight) * planned.row_bytes
            assert ahead - block <= held <= ahead
            asked = sum(length for _, length in store.ranges)
            assert asked <= (taken + held) * (1 + GAP_SHARE) ** 2 + Window.PAGE_BYTES
            taken += next(blocks).rows * planned.row_bytes
    assert taken < 4000 * planned.row_bytes / 2


def test_one_block_is_read_at_a_time_until_more_are_wanted(
    store: Store, planned: list[PlannedPartition], columns: list[dict[str, Any]]
) -> None:
    reader = BlockReader(store, planned, BATCH)
    with reader.blocks([Slice(partition=0, start=0, stop=ROWS[0])], ahead=False) as blocks:
        assert len(blocks._pending) == 1
        found = [next(blocks)]
        assert len(blocks._pending) == 1
        blocks.read_ahead()
        assert len(blocks._pending) > 1
        found += blocks
    ids = np.concatenate([block.columns["object_id"] for block in found])
    np.testing.assert_array_equal(ids, columns[0]["object_id"])


def test_blocks_grow_and_shrink_in_whole_batches() -> None:
    planned = PlannedPartition(bucket="b", key="k", etag="e", bytes=1, rows=1278, row_bytes=20_548)
    (rank,) = share_rows([1278], 1, 64)
    cut = list(pieces(rank.slices, [planned], 64))
    assert [-(-(p.stop - p.start) // 64) for p in cut] == [1, 2, 3, 3, 3, 3, 3, 1, 1]
    assert cut[-1].stop == 1278
    assert all(p.start % 64 == 0 for p in cut)


def test_threads_end_when_a_reader_is_given_up(
    store: Store, planned: list[PlannedPartition]
) -> None:
    with BlockReader(store, planned, BATCH).blocks([Slice(partition=0, start=0, stop=100)]):
        pass
    names = [thread.name for thread in threading.enumerate()]  # the S3 server has threads here, too
    assert not [name for name in names if name.startswith(("blocks", "ranges"))]


def test_one_slice_alone_may_be_read_by_anyone(
    store: Store, planned: list[PlannedPartition], columns: list[dict[str, Any]]
) -> None:
    """Rows that begin and end where no checksum does."""
    reader = BlockReader(store, planned, BATCH)
    (block,) = reader.blocks([Slice(partition=0, start=80, stop=93)])
    np.testing.assert_array_equal(block.columns["image"], columns[0]["image"][80:93])
    facts = reader.facts()
    assert facts["download_s"] > 0
    assert facts["first_byte_at_s"] is not None


def test_damaged_rows_are_refused_by_name(store: Store, planned: list[PlannedPartition]) -> None:
    """The object itself is damaged, and planned as it is: only its checksums can tell."""
    at = Location(planned[0].bucket, planned[0].key)
    body = bytearray(store.get(at))
    body[-2] ^= 1
    store.put(at, bytes(body))
    now = planned[0].model_copy(update={"etag": store.head(at).etag})
    reader = BlockReader(store, [now], BATCH)
    with pytest.raises(InputError, match="rows 0 to 100 of z_spec don't have the checksum"):
        list(reader.blocks([Slice(partition=0, start=0, stop=100)]))


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


def test_a_rank_stops_before_its_function_is_killed(columns: list[dict[str, Any]]) -> None:
    block = Block(0, 0, columns[0])
    engine, progress = Engine(load_checkpoint(CHECKPOINT), 1), Progress()
    with pytest.raises(InputError, match="out-of-time") as caught:
        list(predicted([block], engine, progress, time.monotonic() - 1))
    assert progress.computing.total.wall_s == 0
    assert "world_size" in caught.value.hint


@pytest.mark.parametrize("width", [9, 64])
def test_text_ids_come_back_and_what_can_be_none_is_refused_by_row(
    store: Store,
    bucket: str,
    put_partition: Callable[..., Location],
    make_columns: Any,
    width: int,
) -> None:
    ids = np.array([f"J{i:0{width - 1}d}" for i in range(100)], "S")
    at = put_partition("d/0.safetensors", {**make_columns(100, size=8), "object_id": ids})
    store.put(Location(bucket, "m"), b"m")
    data, model = Data(partitions=(at.uri,)), Model(uri=f"s3://{bucket}/m")
    (planned,) = inspect_inputs(store, data, model).partitions
    assert planned.id_bytes == width
    rows = [Slice(partition=0, start=16, stop=100)]
    got = [b.columns["object_id"] for b in BlockReader(store, [planned], 16).blocks(rows)]
    assert np.concatenate(got).tolist() == ids[16:].tolist()

    columns = load(store.get(at))
    columns["object_id"][70, 2:4] = (0, 65)
    store.put(at, save(columns))
    (planned,) = inspect_inputs(store, data, model).partitions
    with pytest.raises(InputError, match=rf"{at.uri}: object_id is not .*: rows 70 \("):
        list(BlockReader(store, [planned], 16).blocks(rows))
