"""Catalogue rows made of a partition's columns and predictions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.bands import BANDS
from cosmic.contracts.catalogue_columns import COLUMNS, catalogue_rows
from cosmic.contracts.catalogue_schema import SCHEMA, quantiles_of, schema_of, table_of
from cosmic.contracts.quantiles import QUANTILES

ROWS = 11


def quantiles(z_phot: np.ndarray) -> np.ndarray:
    return z_phot[:, None] + np.linspace(-0.04, 0.04, len(QUANTILES), dtype=np.float32)


def table(columns: dict[str, np.ndarray], z_phot: np.ndarray) -> pa.Table:
    rows = len(z_phot)
    errors, flags = np.full(rows, 0.02, np.float32), np.arange(rows, dtype=np.int32)
    made = (z_phot, errors, quantiles(z_phot), flags)
    return table_of(catalogue_rows(columns, *made, partition=3, start=100))


def test_every_value_is_where_it_belongs(
    make_columns: Callable[..., dict[str, np.ndarray]],
) -> None:
    columns = make_columns(ROWS)
    z_phot = np.linspace(0, 1, ROWS, dtype=np.float32)
    found = table(columns, z_phot)
    found.validate(full=True)
    assert found.schema == SCHEMA
    for name in ("object_id", "ra", "dec", "z_spec"):
        assert found[name].to_pylist() == columns[name].tolist()
    for i, band in enumerate(BANDS):
        assert found[f"mag_{band}"].to_pylist() == columns["mag"][:, i].tolist()
        assert found[f"mag_err_{band}"].to_pylist() == columns["mag_err"][:, i].tolist()
    assert found["z_phot"].to_pylist() == z_phot.tolist()
    assert found["flags"].to_pylist() == list(range(ROWS))
    np.testing.assert_array_equal(quantiles_of(found), quantiles(z_phot))
    assert found["z_q16"].to_pylist() == quantiles(z_phot)[:, 2].tolist()
    assert found["partition"].to_pylist() == [3] * ROWS
    assert found["row"].to_pylist() == list(range(100, 100 + ROWS))


def test_what_is_missing_is_null_and_other_types_are_taken_over(
    make_columns: Callable[..., dict[str, np.ndarray]],
) -> None:
    columns = make_columns(ROWS)
    columns["mag"] = columns["mag"].astype(np.float64)
    columns["mag"][2] = (np.nan, -9999.0, -99.0, 99.0, np.inf)
    del columns["z_spec"]
    z_phot = np.full(ROWS, 0.1, np.float32)
    z_phot[-1] = np.nan
    found = table(columns, z_phot)
    assert [found[f"mag_{band}"].to_pylist().index(None) for band in BANDS] == [2] * 5
    assert [found[name].null_count for name in ("mag_u", "z_phot", "z_spec")] == [1, 1, ROWS]
    assert found["z_phot"][ROWS - 1].as_py() is None
    assert all(found[name].null_count == 0 for name in COLUMNS if name[:4] in ("obje", "flag"))


def test_a_value_that_can_not_be_one_is_null(
    make_columns: Callable[..., dict[str, np.ndarray]],
) -> None:
    columns = make_columns(4)
    columns["mag"][:, 1] = np.array([-9999, 17, 0, 0], np.float16)
    columns["mag"][2:, 1] = (1e20, 99.999)
    columns["mag_err"][:, 1] = (-1, 0.1, 99, 1e20)
    columns["ra"][:] = (99.0, -9999, 0, 360)
    columns["dec"][:] = (-9999, -90, 90, 91)
    columns["z_spec"][:] = (-9, 0.5, 99, 1e20)
    found = table(columns, np.full(4, 0.1, np.float32))
    assert [v is None for v in found["mag_g"].to_pylist()] == [True, False, True, True]
    assert [v is None for v in found["mag_err_g"].to_pylist()] == [True, False, True, True]
    assert found["ra"].to_pylist() == [99, None, 0, 360]
    assert found["dec"].to_pylist() == [None, -90, 90, None]
    assert found["z_spec"].to_pylist() == [None, 0.5, None, None]


@pytest.mark.process
def test_making_and_counting_rows_does_not_import_pandas() -> None:
    """A rank or a merge would pay for it with 33 MiB and 0.4 s."""
    code = f"""
import sys
import io
import numpy as np
from cosmic.contracts.catalogue_columns import catalogue_rows
from cosmic.results.fits_table import FitsTable
from cosmic.results.merge import Merged
from cosmic.contracts.catalogue_schema import table_of
columns = dict(object_id=np.arange(2), ra=np.zeros(2), dec=np.zeros(2))
columns |= dict(mag=np.zeros((2, {len(BANDS)})), mag_err=np.zeros((2, {len(BANDS)})))
z, flags = np.zeros(2, np.float32), np.zeros(2, np.int32)
quantiles = np.zeros((2, 9), np.float32)
table = table_of(catalogue_rows(columns, z, z, quantiles, flags, partition=0, start=0))
Merged().see(table)
FitsTable(io.BytesIO(), None, {tuple(BANDS)!r}, dict()).write(table)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 3, 4, 5], pa.int64()),
        pa.array([0.5, None, 2.5, float("inf"), None] * 3, pa.float32()),
        pa.chunked_array([pa.array([1.5, None]), pa.array([2.5] * 9), pa.array([], pa.float64())]),
        pa.array([], pa.int32()),
        pa.array(["012", "a", "", "~"]),
    ],
)
def test_values_are_those_that_arrow_gives(column: pa.Array, start: int) -> None:
    some = column[start:]
    found, wanted = values_of(some), some.to_numpy(zero_copy_only=False)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype


@pytest.mark.parametrize("rows", [0, 4])
def test_text_ids_are_a_column_of_strings(
    make_columns: Callable[..., dict[str, np.ndarray]], rows: int
) -> None:
    texts = ["012", "SDSS J123456.78+012345.6", " a", "~"][:rows]
    columns = {**make_columns(rows), "object_id": np.array(texts, "S64")}
    found = table(columns, np.full(rows, 0.1, np.float32))
    found.validate(full=True)
    assert found.schema == schema_of(64)
    assert found["object_id"].to_pylist() == texts
