"""The index of a data set: believed where objects are those that were indexed, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Model
from cosmic.contracts.plan import FunctionLimits
from cosmic.data.dataset_index import INDEX_NAME, IndexWriter
from cosmic.data.native import write_partition
from cosmic.planning.inputs import RunInputs, inspect_inputs
from cosmic.storage.etag import etags_of
from cosmic.storage.objects import Store

MakeColumns = Callable[..., Any]
PARTITIONS = 12


@pytest.fixture
def folder(tmp_path: Path, make_columns: MakeColumns) -> Path:
    """A packed data set."""
    made = tmp_path / "set"
    made.mkdir()
    files = [made / f"{i}.safetensors" for i in range(PARTITIONS)]
    for i, path in enumerate(files):
        write_partition(path, make_columns(i + 6, seed=i, size=8))
    with IndexWriter() as index:
        for file in files:
            index.add(file)
        index.write(made)
    return made


@pytest.fixture
def look(
    store: Store, bucket: str, folder: Path, tiny_checkpoint: bytes
) -> Callable[[], tuple[RunInputs, int]]:
    """What is found of the data set in S3, and in how many reads."""
    store.put(Location(bucket, "m"), tiny_checkpoint)
    for path in folder.iterdir():
        store.upload(path, Location(bucket, f"d/{path.name}"))

    def found() -> tuple[RunInputs, int]:
        before = store.requests
        inputs = inspect_inputs(store, Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m"))
        return inputs, store.requests.since(before).reads

    return found


def test_an_index_spares_the_headers_and_changes_nothing_else(
    look: Callable[[], tuple[RunInputs, int]], store: Store, bucket: str
) -> None:
    indexed, few = look()
    store.delete(Location(bucket, f"d/{INDEX_NAME}"))
    plain, many = look()
    assert indexed == plain
    assert (indexed.problems, indexed.ignored_keys, indexed.check_pixels) == ([], [], True)
    sampled = 8
    assert few == 3 + 3 * sampled  # model twice, index; a header and two columns a piece
    assert many == 2 + PARTITIONS + 2 * sampled


def test_a_partition_that_was_replaced_is_looked_at(
    look: Callable[[], tuple[RunInputs, int]],
    store: Store,
    bucket: str,
    folder: Path,
    make_columns: MakeColumns,
) -> None:
    path = folder / "3.safetensors"
    write_partition(path, make_columns(40, seed=99, size=8))
    store.upload(path, Location(bucket, "d/3.safetensors"))
    assert look()[0].partitions[3].rows == 40
    same_size = bytearray(path.read_bytes())
    same_size[:8] = b"\xff" * 8
    store.put(Location(bucket, "d/5.safetensors"), bytes(same_size))
    (problem,) = look()[0].problems
    assert "5.safetensors" in str(problem)


@pytest.mark.parametrize("text", [b"", b"{", b'{"version": 1}', b'{"partitions": [{}]}'])
def test_a_damaged_index_is_a_warning(
    look: Callable[[], tuple[RunInputs, int]], store: Store, bucket: str, text: bytes
) -> None:
    store.put(Location(bucket, f"d/{INDEX_NAME}"), text)
    found, _ = look()
    assert len(found.partitions) == PARTITIONS
    (warning,) = found.warnings
    assert warning.startswith(f"s3://{bucket}/d/{INDEX_NAME} can't be read")


@pytest.mark.parametrize("size", [1, (8 << 20) - 1, 8 << 20, (8 << 20) + 1])
def test_etags_are_those_that_s3_gives(
    store: Store, bucket: str, tmp_path: Path, size: int
) -> None:
    path, at = tmp_path / "file", Location(bucket, "file")
    path.write_bytes(b"x" * size)
    for write in (store.upload, lambda path, at: store.put(at, path.read_bytes())):
        write(path, at)
        assert store.head(at).etag.strip('"') in etags_of(path)


def test_partitions_that_init_has_no_time_for_are_refused_unread(
    look: Callable[[], tuple[RunInputs, int]], store: Store, bucket: str
) -> None:
    look()
    data, model = Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m")
    short = FunctionLimits(init_s=30)
    assert inspect_inputs(store, data, model, functions=short).problems == []
    store.delete(Location(bucket, f"d/{INDEX_NAME}"))
    before = store.requests
    (problem,) = inspect_inputs(store, data, model, functions=short).problems
    assert (problem.code, store.requests.since(before).reads) == ("too-many-partitions", 2)
