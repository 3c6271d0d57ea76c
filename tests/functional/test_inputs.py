"""The look at a run's input against a real S3 API: what is there, and all that is wrong."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Model, check_manifest
from cosmic.contracts.plan import Limits
from cosmic.planning.inputs import inspect_inputs
from cosmic.planning.plan_run import survey_input
from cosmic.storage.interfaces import StoredObject
from cosmic.storage.local import FolderStore
from cosmic.storage.objects import Store

MODELS = Path(__file__).parents[2] / "models"
PutPartition = Callable[..., Location]


@pytest.fixture
def model(store: Store, bucket: str, tiny_checkpoint: bytes) -> Model:
    store.put(Location(bucket, "models/m.safetensors"), tiny_checkpoint)
    return Model(uri=f"s3://{bucket}/models/m.safetensors")


def test_partitions_come_in_natural_order_with_their_rows(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
    tiny_checkpoint: bytes,
) -> None:
    for name, rows in (("10", 3), ("9", 2), ("8", 1)):
        put_partition(f"d/{name}.safetensors", make_columns(rows))
    store.put(Location(bucket, "d/notes.txt"), b"hello")
    found = inspect_inputs(store, Data(uri=f"s3://{bucket}/d/"), model)
    assert found.problems == []
    assert [(p.key, p.rows) for p in found.partitions] == [
        ("d/8.safetensors", 1),
        ("d/9.safetensors", 2),
        ("d/10.safetensors", 3),
    ]
    assert found.partitions[0].row_bytes == 5 * 32 * 32 * 4 + 2 * 20 + 8 + 16 + 4
    assert found.ignored_keys == ["d/notes.txt"]
    assert found.model
    assert found.model.sha256 == hashlib.sha256(tiny_checkpoint).hexdigest()
    assert not found.model.has_domain


def test_a_checkpoint_with_a_domain_is_planned_as_such(store: Store, bucket: str) -> None:
    store.put(Location(bucket, "m"), (MODELS / "tiny/astromae-tiny.safetensors").read_bytes())
    found = inspect_inputs(store, Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m"))
    assert found.model
    assert found.model.has_domain


def test_hidden_files_are_no_partitions_and_are_named(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    hidden = ["d/.ipynb_checkpoints/1.safetensors", "d/._0.safetensors"]
    put_partition("d/0.safetensors", make_columns(1))
    for key in hidden:
        store.put(Location(bucket, key), b"junk")
    found = inspect_inputs(store, Data(uri=f"s3://{bucket}/d"), model)
    assert [p.key for p in found.partitions] == ["d/0.safetensors"]
    assert found.ignored_keys == sorted(hidden)
    assert found.problems == []


def test_a_hidden_folder_that_is_named_itself_is_read(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    put_partition(".mine/0.safetensors", make_columns(1))
    found = inspect_inputs(store, Data(uri=f"s3://{bucket}/.mine/"), model)
    assert [p.key for p in found.partitions] == [".mine/0.safetensors"]


def test_more_partitions_than_a_page_are_all_found(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    first = put_partition("d/0.safetensors", make_columns(1, size=8))
    for i in range(1, 1003):
        store.put(Location(bucket, f"d/{i}.safetensors"), store.get(first) if i == 1 else b"junk")
    found = inspect_inputs(store, Data(uri=f"s3://{bucket}/d/"), model)
    assert len(found.partitions) == 2
    assert len(found.problems) == 1001


def test_the_holes_of_a_numbered_set_are_named(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    for i in (0, 1, 3, 6):
        put_partition(f"d/{i}.safetensors", make_columns(1, size=8))
    (problem,) = inspect_inputs(store, Data(uri=f"s3://{bucket}/d/"), model).problems
    assert problem.code == "missing-partitions"
    assert problem.value == [f"d/{i}.safetensors" for i in (2, 4, 5)]


def test_what_is_wrong_is_found_at_once(
    store: Store, bucket: str, put_partition: PutPartition, make_columns: Callable[..., Any]
) -> None:
    whole = put_partition("d/a.safetensors", make_columns(4, size=8))
    store.put(Location(bucket, "d/b.safetensors"), store.get(whole)[:-100])
    store.put(Location(bucket, "d/c.safetensors"), b"not a partition")
    data = Data(uri=f"s3://{bucket}/d/", expect=4)
    found = inspect_inputs(store, data, Model(uri=f"s3://{bucket}/models/none.safetensors"))
    assert [(p.pointer, p.code) for p in found.problems] == [
        ("/model/uri", "not-found"),
        ("/data/expect", "wrong-partition-count"),
        (f"s3://{bucket}/d/b.safetensors", "bad-partition"),
        (f"s3://{bucket}/d/c.safetensors", "bad-partition"),
    ]


def raw_partition(entries: dict[str, object], body: bytes) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "says"),
    [
        ("image", [2, 4, 8, 8], "F32", "image has shape [2, 4, 8, 8]"),
        ("image", [2, 5, 8, 8], "F64", "image is float64"),
        ("image", [3, 5, 8, 8], "F32", "columns differ in length"),
        ("image", [2, 5, 8, 8], "F8_E4M3", "dtype F8_E4M3"),
        ("image", [-2, 5, 8, 8], "F32", "occupies"),
        ("colour", [2], "F32", "column 'colour' is unknown"),
    ],
)
def test_wrong_columns_are_refused_by_name(
    store: Store,
    bucket: str,
    model: Model,
    name: str,
    shape: list[int],
    dtype: str,
    says: str,
) -> None:
    columns = {
        "image": ([2, 5, 8, 8], "F32"),
        "mag": ([2, 5], "F32"),
        "mag_err": ([2, 5], "F32"),
        "object_id": ([2], "I64"),
        "ra": ([2], "F64"),
        "dec": ([2], "F64"),
        name: (shape, dtype),
    }
    entries: dict[str, object] = {}
    end = 0
    for column, (dims, kind) in columns.items():
        begin, end = end, end + abs(int(np.prod(dims))) * (8 if kind in ("F64", "I64") else 4)
        entries[column] = {"dtype": kind, "shape": dims, "data_offsets": [begin, end]}
    at = Location(bucket, "d/0.safetensors")
    store.put(at, raw_partition(entries, bytes(end)))
    found = inspect_inputs(store, Data(partitions=(at.uri,)), model)
    assert any(says in p.message for p in found.problems)
    assert all(p.pointer == at.uri for p in found.problems)


def test_a_bucket_that_does_not_exist(store: Store, model: Model) -> None:
    (problem,) = inspect_inputs(store, Data(uri="s3://no-such-bucket-here/d/"), model).problems
    assert (problem.pointer, problem.code) == ("/data/uri", "no-bucket")


def test_a_prefix_with_no_partitions(store: Store, bucket: str, model: Model) -> None:
    (problem,) = inspect_inputs(store, Data(uri=f"s3://{bucket}/empty/"), model).problems
    assert problem.code == "no-partitions"


def test_the_empty_object_by_which_consoles_make_a_folder_is_no_partition(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    data = Data(uri=f"s3://{bucket}/made/")
    store.put(Location(bucket, "made/"), b"")
    (problem,) = inspect_inputs(store, data, model).problems
    assert problem.code == "no-partitions"
    put_partition("made/0.safetensors", make_columns(1))
    found = inspect_inputs(store, data, model)
    assert [p.key for p in found.partitions] == ["made/0.safetensors"]
    assert found.problems == []


def test_a_model_with_another_checksum(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
    tiny_checkpoint: bytes,
) -> None:
    at = put_partition("d/0.safetensors", make_columns(1, size=8))
    other = Model(uri=model.uri, sha256="0" * 64)
    (problem,) = inspect_inputs(store, Data(partitions=(at.uri,)), other).problems
    assert problem.code == "checksum-differs"
    assert hashlib.sha256(tiny_checkpoint).hexdigest() in problem.message


@pytest.fixture
def neighbours(put_partition: PutPartition, make_columns: Callable[..., Any]) -> None:
    """A folder, and one whose name begins with its name."""
    for key in ("data/demo/0", "data/demo/deep/0", "data/demo-old/0", "data/demo.safetensors/0"):
        put_partition(f"{key}.safetensors", make_columns(1, size=8))


@pytest.mark.parametrize("name", ["data/demo", "data/demo/"])
@pytest.mark.usefixtures("neighbours")
def test_a_folder_is_never_its_neighbour(
    store: Store, bucket: str, model: Model, name: str
) -> None:
    found = inspect_inputs(store, Data(uri=f"s3://{bucket}/{name}"), model)
    assert found.problems == []
    keys = [p.key for p in found.partitions]
    assert keys == ["data/demo/0.safetensors", "data/demo/deep/0.safetensors"]


@pytest.mark.usefixtures("neighbours")
def test_a_folder_on_this_machine_is_never_its_neighbour(
    tmp_path: Path, store: Store, bucket: str, model: Model
) -> None:
    for found in store.list(Location(bucket, "")):
        path = tmp_path / "home" / found.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(Location(bucket, found.key)))
    here = FolderStore({bucket: tmp_path / "home"})
    for name in ("data/demo", "data/de", "data/demo/0.safetensors", "data/none", "data", ""):
        data = Data(uri=f"s3://{bucket}/{name}")
        local, remote = inspect_inputs(here, data, model), inspect_inputs(store, data, model)
        assert [p.key for p in local.partitions] == [p.key for p in remote.partitions]
        assert local.problems == remote.problems


@pytest.mark.parametrize(
    ("name", "code", "way_out"),
    [
        ("data/de", "no-partitions", "data/demo-old/"),
        ("data/demo/de", "no-partitions", "data/demo/deep/"),
        ("data/demo/0.safetensors", "not-a-folder", '"partitions"'),
        ("none", "no-partitions", ""),
        ("none/", "no-partitions", ""),
    ],
)
@pytest.mark.usefixtures("neighbours")
def test_what_is_no_folder_is_refused_with_the_way_out(
    store: Store, bucket: str, model: Model, name: str, code: str, way_out: str
) -> None:
    (problem,) = inspect_inputs(store, Data(uri=f"s3://{bucket}/{name}"), model).problems
    assert (problem.pointer, problem.code) == ("/data/uri", code)
    assert way_out in problem.hint


def test_an_archived_partition_is_said_with_the_words_of_s3(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
    s3: Any,
) -> None:
    at = put_partition("d/0.safetensors", make_columns(1, size=8))
    source = {"Bucket": bucket, "Key": at.key}
    s3.copy_object(Bucket=bucket, Key=at.key, CopySource=source, StorageClass="GLACIER")
    (problem,) = inspect_inputs(store, Data(uri=f"s3://{bucket}/d/"), model).problems
    assert (problem.pointer, problem.value, problem.code) == ("/data/uri", at.uri, "archived")
    assert "InvalidObjectState" in problem.message
    assert "restore" in problem.hint


def a_header(metadata: object, end: int = 0) -> bytes:
    tensor = {"w": {"dtype": "F32", "shape": [end // 4], "data_offsets": [0, end]}}
    header = json.dumps({"__metadata__": metadata, **(tensor if end else {})}).encode()
    return struct.pack("<Q", len(header)) + header


OURS = {"format": "cosmic-checkpoint", "version": "1"}
NO_MODELS = {
    "nothing": b"",
    "zeros": bytes(1000),
    "a text": b"weights will follow",
    "a pickle": b"PK\x03\x04" + bytes(100),
    "no JSON": struct.pack("<Q", 4) + b"{oops",
    "an endless header": struct.pack("<Q", 1 << 40) + b"{}",
    "no metadata": a_header(None),
    "a partition": a_header({"format": "cosmic-partition", "version": "1"}),
    "another version": a_header({**OURS, "version": "2"}),
    "cut off": a_header(OURS, 4000) + bytes(3000),
    "no offsets": struct.pack("<Q", 62)
    + b'{"__metadata__": %s, "w": 1}' % json.dumps(OURS).encode(),
}


@pytest.mark.parametrize("body", NO_MODELS.values(), ids=NO_MODELS)
def test_a_file_that_is_no_checkpoint_is_refused(
    store: Store,
    bucket: str,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
    body: bytes,
) -> None:
    partition = put_partition("d/0.safetensors", make_columns(1, size=8))
    at = Location(bucket, "models/m.safetensors")
    store.put(at, body)
    (problem,) = inspect_inputs(
        store, Data(partitions=(partition.uri,)), Model(uri=at.uri)
    ).problems
    assert (problem.pointer, problem.code) == ("/model/uri", "checkpoint-invalid")


class Large:
    """A store that holds one large checkpoint, nowhere in memory."""

    def __init__(self, start: bytes, size: int) -> None:
        self._start, self._size = start, size
        self.largest = self.read = 0

    def head(self, at: Location) -> StoredObject:
        """What S3 says of it."""
        return StoredObject(at.key, self._size, "e")

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Its bytes: the header, then zeros."""
        assert etag == "e"
        target[:] = bytes(len(target))
        if offset == 0:
            target[: len(self._start)] = self._start
        self.largest = max(self.largest, len(target))
        self.read += len(target)

    def keys_beginning(self, at: Location, most: int) -> list[str]:
        """Nothing else is there."""
        return []

    def paid_by(self, payer: str | None) -> Large:
        """Nobody pays."""
        assert payer is None
        return self

    def list(self, at: Location) -> Iterator[StoredObject]:
        """No partitions."""
        return iter(())


def test_a_large_model_is_hashed_piece_by_piece() -> None:
    size = 450 << 20
    start = a_header(OURS, size)
    store: Any = Large(start, len(start) + size)
    found = inspect_inputs(store, Data(uri="s3://bucket/d/"), Model(uri="s3://bucket/m"))
    assert found.model
    assert store.read == found.model.bytes == len(start) + size
    assert store.largest <= 8 << 20
    expected = hashlib.sha256(start)
    for _ in range(450):
        expected.update(bytes(1 << 20))
    assert found.model.sha256 == expected.hexdigest()


def test_a_model_that_fits_into_no_rank_is_refused_unread() -> None:
    store: Any = Large(b"", 3 << 30)
    limits = Limits(world_size=1, memory_mb=1769, channels=())
    document = {
        "version": 1,
        "job": "j",
        "model": {"uri": "s3://bucket/m"},
        "data": {"uri": "s3://bucket/d/"},
    }
    found = survey_input(check_manifest(document), store, limits)
    problem = found.problems[0]
    assert (problem.pointer, problem.code) == ("/model/uri", "too-little-memory")
    assert store.read == 0


@pytest.mark.parametrize("named", [True, False])
def test_partitions_with_text_ids_and_with_whole_numbers_are_not_one_data_set(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
    named: bool,
) -> None:
    texts = {**make_columns(2, size=8), "object_id": np.array(["a-1", "SDSS J2"], "S")}
    at = [put_partition("ids/0.safetensors", make_columns(2, size=8))]
    at += [put_partition(f"ids/{i}.safetensors", texts) for i in (1, 2)]
    uris = tuple(each.uri for each in at)
    data = Data(partitions=uris) if named else Data(uri=f"s3://{bucket}/ids/")
    found = inspect_inputs(store, data, model)
    assert [p.id_bytes for p in found.partitions] == [None, 7, 7]
    (problem,) = found.problems
    assert problem.message == f"object_id is text in {uris[1]} and whole numbers in {uris[0]}"
    assert problem.pointer == ("/data/partitions" if named else "/data/uri")
    assert inspect_inputs(store, Data(partitions=uris[1:]), model).problems == []


@pytest.mark.parametrize(
    ("shape", "says"),
    [([2, 65], "use (rows, 1 to 64)"), ([2, 0], "use (rows, 1 to 64)"), ([2], "(rows, 1 to 64)")],
)
def test_text_ids_of_another_width_are_refused(
    store: Store, bucket: str, model: Model, shape: list[int], says: str
) -> None:
    entries: dict[str, object] = {
        "object_id": {"dtype": "U8", "shape": shape, "data_offsets": [0, math.prod(shape)]}
    }
    at = Location(bucket, "d/0.safetensors")
    store.put(at, raw_partition(entries, bytes(math.prod(shape))))
    found = inspect_inputs(store, Data(partitions=(at.uri,)), model)
    (problem,) = (p for p in found.problems if p.message.startswith("object_id"))
    assert says in problem.hint
