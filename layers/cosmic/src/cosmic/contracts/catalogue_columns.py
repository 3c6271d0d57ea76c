"""The catalogue's columns and rows in NumPy's terms: all that a rank and a plan need of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.columns import BANDS
from cosmic.contracts.plausible import (
    plausible_declinations,
    plausible_magnitude_errors,
    plausible_magnitudes,
    plausible_redshifts,
    plausible_right_ascensions,
)
from cosmic.contracts.quantiles import QUANTILES

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
Rows = NDArray[np.void]  # of `row_dtype`


@dataclass(frozen=True)
class ColumnInfo:
    """A catalogue column: type, unit (FITS standard) and UCD (IVOA UCD1+)."""

    dtype: np.dtype[Any]
    unit: str
    ucd: str
    description: str


COLUMNS: dict[str, ColumnInfo] = {
    "object_id": ColumnInfo(INT64, "", "meta.id;meta.main", "Identifier in the data set"),
    "ra": ColumnInfo(FLOAT64, "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
    "dec": ColumnInfo(FLOAT64, "deg", "pos.eq.dec;meta.main", "Declination (ICRS)"),
    **{
        f"mag_{b}": ColumnInfo(FLOAT32, "mag", "phot.mag;em.opt", f"asinh magnitude, {b} band")
        for b in BANDS
    },
    **{
        f"mag_err_{b}": ColumnInfo(
            FLOAT32, "mag", "stat.error;phot.mag;em.opt", f"Error of mag_{b}"
        )
        for b in BANDS
    },
    "z_phot": ColumnInfo(FLOAT32, "", "src.redshift.phot", "Photometric redshift"),
    "z_phot_err": ColumnInfo(
        FLOAT32, "", "stat.error;src.redshift.phot", "68 % half-width of z_phot"
    ),
    **{
        name: ColumnInfo(
            FLOAT32,
            "",
            "stat.value;src.redshift.phot",
            f"Redshift below which p(z) has {100 * level:g} %",
        )
        for name, level in QUANTILES.items()
    },
    "z_spec": ColumnInfo(FLOAT32, "", "src.redshift", "Spectroscopic redshift, if known"),
    "flags": ColumnInfo(
        INT32, "", "meta.code", "Bitmask; each bit is described in the file's metadata"
    ),
    "partition": ColumnInfo(INT32, "", "meta.id.part", "Partition, in natural order from 0"),
    "row": ColumnInfo(INT64, "", "meta.number", "Row in the partition, from 0"),
}
PLAUSIBLE: dict[str, Callable[[NDArray[Any]], NDArray[np.bool_]]] = {
    "ra": plausible_right_ascensions,
    "dec": plausible_declinations,
    **{f"mag_{b}": plausible_magnitudes for b in BANDS},
    **{f"mag_err_{b}": plausible_magnitude_errors for b in BANDS},
    "z_spec": plausible_redshifts,
}
NULLABLE = tuple(name for name, column in COLUMNS.items() if column.dtype.kind == "f")


def row_dtype(id_bytes: int | None) -> np.dtype[np.void]:
    """A row of a catalogue whose ids are text of so many bytes at most; None: numbers.

    Nothing lies between the columns: this is how a row lies in a shard, and in FITS but for the
    order of bytes.
    """
    ids = INT64 if id_bytes is None else np.dtype(f"S{id_bytes}")
    return np.dtype([(n, ids if n == "object_id" else c.dtype) for n, c in COLUMNS.items()])


def catalogue_rows(
    columns: Mapping[str, NDArray[Any]],
    z_phot: NDArray[np.float32],
    z_phot_err: NDArray[np.float32],
    z_quantiles: NDArray[np.float32],
    flags: NDArray[np.int32],
    *,
    partition: int,
    start: int,
) -> Rows:
    """Catalogue rows of consecutive objects of one partition.

    Args:
        columns: The partition's columns but `image`, N rows each.
        z_phot: Redshifts (N,); NaN where there is none.
        z_phot_err: Their 68 % half-widths (N,).
        z_quantiles: Quantiles of p(z) (N, 9), in the order of `QUANTILES`; NaN where unknown.
        flags: `Flag` bitmasks (N,).
        partition: The partition's index in the plan.
        start: Index in the partition of the first row.

    Returns:
        Rows (N,) of `row_dtype`; what isn't finite, and what `PLAUSIBLE` says is no value, is NaN.
    """
    ids = columns["object_id"]
    rows = np.empty(len(z_phot), row_dtype(ids.dtype.itemsize if ids.dtype.kind == "S" else None))
    values: dict[str, Any] = {
        "object_id": ids,
        "ra": columns["ra"],
        "dec": columns["dec"],
        "z_phot": z_phot,
        "z_phot_err": z_phot_err,
        "z_spec": columns.get("z_spec", np.full(len(rows), np.nan, np.float32)),
        "flags": flags,
        "partition": partition,
        "row": np.arange(start, start + len(rows)),
    }
    for i, band in enumerate(BANDS):
        values[f"mag_{band}"] = columns["mag"][:, i]
        values[f"mag_err_{band}"] = columns["mag_err"][:, i]
    values |= dict(zip(QUANTILES, z_quantiles.T, strict=True))
    for name in COLUMNS:
        rows[name] = _known(name, values[name]) if name in NULLABLE else values[name]
    return rows


def _known(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """The values of a column, NaN where there is none."""
    return np.where(PLAUSIBLE.get(name, np.isfinite)(values), values, np.nan)
