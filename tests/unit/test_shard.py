"""A rank's rows in a file that NumPy alone writes and reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cosmic.contracts.bands import BANDS
from cosmic.contracts.catalogue_columns import (
    COLUMNS,
    Rows,
    catalogue_rows,
    is_known,
    row_dtype,
)
from cosmic.contracts.catalogue_schema import schema_of, table_of
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.shard import joined, read_shard, write_shard

ROWS = 60
TEXTS = np.array([f"SDSS J{i:0{1 + i % 9}d}" for i in range(ROWS)], "S16")
ODD = (np.nan, np.inf, -np.inf, -9999.0, -99.0, -9.0, -1.0, 0.0, 99.0, 99.999, 1e20, 361.0)
Columns = dict[str, np.ndarray]


@pytest.fixture(params=[None, 16], ids=["numbers", "texts"])
def id_bytes(request: pytest.FixtureRequest) -> int | None:
    found: int | None = request.param
    return found


@pytest.fixture
def columns(make_columns: Callable[..., Columns], id_bytes: int | None) -> Columns:
    """A partition's, in which some of everything is no value."""
    made, draw = make_columns(ROWS), np.random.default_rng(5)
    if id_bytes is not None:
        made["object_id"] = TEXTS
    for name in ("ra", "dec", "mag", "mag_err", "z_spec"):
        lost = draw.random(made[name].shape) < 0.3
        made[name][lost] = draw.choice(ODD, lost.sum())
    return made


def predictions() -> list[np.ndarray]:
    z = np.linspace(0.01, 0.5, ROWS, dtype=np.float32)
    quantiles = z[:, None] + np.linspace(-0.04, 0.04, len(QUANTILES), dtype=np.float32)
    z[::7], quantiles[::7] = np.nan, np.nan
    return [
        z,
        np.where(np.arange(ROWS) % 11, z / 10, np.nan),
        quantiles,
        np.arange(ROWS, dtype="i4"),
    ]


def rows_of(columns: Columns) -> Rows:
    z, width, quantiles, flags = predictions()
    return catalogue_rows(columns, z, width, quantiles, flags, partition=3, start=100)


def shard_of(blocks: Sequence[Rows], id_bytes: int | None) -> bytes:
    out = io.BytesIO()
    write_shard(out, sum(map(len, blocks)), id_bytes, blocks)
    return out.getvalue()


def by_arrow(columns: Columns) -> pa.Table:
    """The same rows made by Arrow from the values and a mask of those that are none."""
    z, width, quantiles, flags = predictions()
    ids = columns["object_id"]
    values: dict[str, Any] = {
        **{name: columns[name] for name in ("ra", "dec", "z_spec")},
        "object_id": [i.decode() for i in ids.tolist()] if ids.dtype.kind == "S" else ids,
        "z_phot": z,
        "z_phot_err": width,
        "flags": flags,
        "partition": np.full(ROWS, 3),
        "row": np.arange(100, 100 + ROWS),
    }
    values |= {f"mag_{b}": columns["mag"][:, i] for i, b in enumerate(BANDS)}
    values |= {f"mag_err_{b}": columns["mag_err"][:, i] for i, b in enumerate(BANDS)}
    values |= {name: quantiles[:, i] for i, name in enumerate(QUANTILES)}
    arrays = []
    for field in schema_of(16 if ids.dtype.kind == "S" else None):
        found = values[field.name]
        mask = ~is_known(field.name, found) if field.nullable else None
        arrays.append(pa.array(found, field.type, mask=mask))
    return pa.Table.from_arrays(arrays, schema=schema_of(16 if ids.dtype.kind == "S" else None))


def test_rows_come_back_as_arrow_would_have_made_them(
    columns: Columns, id_bytes: int | None
) -> None:
    rows = rows_of(columns)
    found = table_of(
        read_shard(shard_of([rows[:1], rows[1:2], rows[2:2], rows[2:]], id_bytes), id_bytes)
    )
    found.validate(full=True)
    assert found.schema == schema_of(id_bytes)
    assert found.equals(by_arrow(columns))
    assert all(found[f.name].null_count for f in found.schema if f.nullable)
    assert table_of(rows[7:8]).equals(by_arrow(columns).slice(7, 1))


def test_numpy_opens_a_shard(columns: Columns, id_bytes: int | None) -> None:
    found = np.load(io.BytesIO(shard_of([rows_of(columns)], id_bytes)), allow_pickle=False)
    assert found.dtype == row_dtype(id_bytes)
    assert list(found.dtype.names or ()) == list(COLUMNS)
    np.testing.assert_array_equal(found["object_id"], columns["object_id"])


@pytest.mark.parametrize("cuts", [[], [0], [1, 17, 17]])
def test_shards_are_joined_row_by_row(
    columns: Columns, id_bytes: int | None, cuts: list[int]
) -> None:
    rows = rows_of(columns)
    parts = np.split(rows, cuts)
    assert joined([shard_of([p], id_bytes) for p in parts], id_bytes) == shard_of([rows], id_bytes)


def test_ids_of_a_partition_may_be_shorter_than_the_runs_but_not_longer(
    make_columns: Callable[..., Columns],
) -> None:
    rows = rows_of({**make_columns(ROWS), "object_id": TEXTS})
    found = read_shard(shard_of([rows], 64), 64)
    assert found["object_id"].tolist() == TEXTS.tolist()
    with pytest.raises(TypeError, match="Cannot cast"):
        shard_of([rows], 8)


def test_what_is_no_shard_is_refused(columns: Columns, id_bytes: int | None) -> None:
    shard, other = shard_of([rows_of(columns)], id_bytes), id_bytes and id_bytes + 1
    fewer, another_type = shard.replace(b"(60,)", b"(59,)"), shard.replace(b"<f8", b"<i8")
    cut = [shard[:-1], shard[:-128], shard[:100], shard[1:], shard + b"0", shard[: 1024 - 144]]
    for junk in [b"", b"PAR1 not really PAR1", fewer, another_type, *cut]:
        with pytest.raises(ValueError, match="whole rows of the catalogue's columns"):
            read_shard(junk, id_bytes)
    with pytest.raises(ValueError, match="whole rows"):
        read_shard(shard, other or 16)
