"""The survey of a run's input against a real S3 API: what is there, and all that is wrong."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cosmic.manifest import Data, Model
from cosmic.store import Location, Store
from cosmic.survey import survey

PutPartition = Callable[..., Location]
MODEL = b"a model"


@pytest.fixture
def model(store: Store, bucket: str) -> Model:
    store.put(Location(bucket, "models/m.safetensors"), MODEL)
    return Model(uri=f"s3://{bucket}/models/m.safetensors")


def test_partitions_come_in_natural_order_with_their_rows(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    for name, rows in (("10", 3), ("9", 2), ("8", 1)):
        put_partition(f"d/{name}.safetensors", make_columns(rows))
    store.put(Location(bucket, "d/notes.txt"), b"hello")
    found = survey(store, Data(uri=f"s3://{bucket}/d/"), model)
    assert found.problems == []
    assert [(p.key, p.rows) for p in found.partitions] == [
        ("d/8.safetensors", 1),
        ("d/9.safetensors", 2),
        ("d/10.safetensors", 3),
    ]
    assert found.partitions[0].row_bytes == 5 * 32 * 32 * 4 + 2 * 20 + 8 + 16 + 4
    assert found.ignored_keys == ["d/notes.txt"]
    assert found.model
    assert found.model.sha256 == hashlib.sha256(MODEL).hexdigest()


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
    found = survey(store, Data(uri=f"s3://{bucket}/d/"), model)
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
    (problem,) = survey(store, Data(uri=f"s3://{bucket}/d/"), model).problems
    assert problem.code == "missing-partitions"
    assert problem.value == [f"d/{i}.safetensors" for i in (2, 4, 5)]


def test_what_is_wrong_is_found_at_once(
    store: Store, bucket: str, put_partition: PutPartition, make_columns: Callable[..., Any]
) -> None:
    whole = put_partition("d/a.safetensors", make_columns(4, size=8))
    store.put(Location(bucket, "d/b.safetensors"), store.get(whole)[:-100])
    store.put(Location(bucket, "d/c.safetensors"), b"not a partition")
    data = Data(uri=f"s3://{bucket}/d/", expect=4)
    found = survey(store, data, Model(uri=f"s3://{bucket}/models/none.safetensors"))
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
    found = survey(store, Data(partitions=(at.uri,)), model)
    assert any(says in p.message for p in found.problems)
    assert all(p.pointer == at.uri for p in found.problems)


def test_a_bucket_that_does_not_exist(store: Store, model: Model) -> None:
    (problem,) = survey(store, Data(uri="s3://no-such-bucket-here/d/"), model).problems
    assert (problem.pointer, problem.code) == ("/data/uri", "no-bucket")


def test_a_prefix_with_no_partitions(store: Store, bucket: str, model: Model) -> None:
    (problem,) = survey(store, Data(uri=f"s3://{bucket}/empty/"), model).problems
    assert problem.code == "no-partitions"


def test_a_model_with_another_checksum(
    store: Store,
    bucket: str,
    model: Model,
    put_partition: PutPartition,
    make_columns: Callable[..., Any],
) -> None:
    at = put_partition("d/0.safetensors", make_columns(1, size=8))
    other = Model(uri=model.uri, sha256="0" * 64)
    (problem,) = survey(store, Data(partitions=(at.uri,)), other).problems
    assert problem.code == "checksum-differs"
    assert hashlib.sha256(MODEL).hexdigest() in problem.message
