"""The catalogue's columns and rows in NumPy's terms: all that a rank and a plan need of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, Bands, bands_of_columns
from cosmic.contracts.plausible import PLAUSIBLE
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


@cache
def columns_of(bands: Bands) -> dict[str, ColumnInfo]:
    """The columns of a catalogue of these bands, by name, in order."""
    return {
        "object_id": ColumnInfo(INT64, "", "meta.id;meta.main", "Identifier in the data set"),
        "ra": ColumnInfo(FLOAT64, "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
        "dec": ColumnInfo(FLOAT64, "deg", "pos.eq.dec;meta.main", "Declination (ICRS)"),
        **{
            f"mag_{b}": ColumnInfo(FLOAT32, "mag", "phot.mag;em.opt", f"asinh magnitude, {b} band")
            for b in bands
        },
        **{
            f"mag_err_{b}": ColumnInfo(
                FLOAT32, "mag", "stat.error;phot.mag;em.opt", f"Error of mag_{b}"
            )
            for b in bands
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


def columns_in(names: Iterable[str]) -> dict[str, ColumnInfo]:
    """The columns of the catalogue that has these, by name, in order."""
    return columns_of(bands_of_columns(names))


COLUMNS = columns_of(BANDS)


def row_dtype(id_bytes: int | None, bands: Bands = BANDS) -> np.dtype[np.void]:
    """A row of a catalogue of these bands.

    Nothing lies between the columns: this is how a row lies in a shard, and in FITS but for the
    order of bytes.

    Args:
        id_bytes: Most bytes of an id if ids are text; None: they are numbers.
        bands: In their order.
    """
    ids = INT64 if id_bytes is None else np.dtype(f"S{id_bytes}")
    columns = columns_of(bands)
    return np.dtype([(n, ids if n == "object_id" else c.dtype) for n, c in columns.items()])


def can_be_null(kind: np.dtype[Any]) -> bool:
    """Whether values of a column may be missing: floating-point numbers, which are NaN then."""
    return kind.kind == "f"


def is_known(name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of a column that can be null are some: finite, and plausible for their kind."""
    quantity = next((q for q in ("mag_err", "mag") if name.startswith(f"{q}_")), name)
    return PLAUSIBLE.get(quantity, np.isfinite)(values)


def catalogue_rows(
    columns: Mapping[str, NDArray[Any]],
    z_phot: NDArray[np.float32],
    z_phot_err: NDArray[np.float32],
    z_quantiles: NDArray[np.float32],
    flags: NDArray[np.int32],
    *,
    partition: int,
    start: int,
    bands: Bands = BANDS,
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
        bands: Of the magnitudes, in their order.

    Returns:
        Rows (N,) of `row_dtype`; what isn't finite, or can be no value of its kind, is NaN.
    """
    ids = columns["object_id"]
    id_bytes = ids.dtype.itemsize if ids.dtype.kind == "S" else None
    rows = np.empty(len(z_phot), row_dtype(id_bytes, bands))
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
    for i, band in enumerate(bands):
        values[f"mag_{band}"] = columns["mag"][:, i]
        values[f"mag_err_{band}"] = columns["mag_err"][:, i]
    values |= dict(zip(QUANTILES, z_quantiles.T, strict=True))
    for name, column in columns_of(bands).items():
        given = values[name]
        if can_be_null(column.dtype):
            given = np.where(is_known(name, given), given, np.nan)
        rows[name] = given
    return rows
