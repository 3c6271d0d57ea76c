"""The catalogue: one row an object, in the order of the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, Bands, bands_of_columns
from cosmic.contracts.plausible import (
    plausible_declinations,
    plausible_magnitude_errors,
    plausible_magnitudes,
    plausible_redshifts,
    plausible_right_ascensions,
)
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.text_ids import stored_ids


@dataclass(frozen=True)
class ColumnInfo:
    """A catalogue column: Arrow type, unit (FITS standard) and UCD (IVOA UCD1+)."""

    type: pa.DataType
    unit: str
    ucd: str
    description: str


@cache
def columns_of(bands: Bands) -> dict[str, ColumnInfo]:
    """The columns of a catalogue of these bands, by name, in order."""
    return {
        "object_id": ColumnInfo(pa.int64(), "", "meta.id;meta.main", "Identifier in the data set"),
        "ra": ColumnInfo(pa.float64(), "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
        "dec": ColumnInfo(pa.float64(), "deg", "pos.eq.dec;meta.main", "Declination (ICRS)"),
        **{
            f"mag_{b}": ColumnInfo(
                pa.float32(), "mag", "phot.mag;em.opt", f"asinh magnitude, {b} band"
            )
            for b in bands
        },
        **{
            f"mag_err_{b}": ColumnInfo(
                pa.float32(), "mag", "stat.error;phot.mag;em.opt", f"Error of mag_{b}"
            )
            for b in bands
        },
        "z_phot": ColumnInfo(pa.float32(), "", "src.redshift.phot", "Photometric redshift"),
        "z_phot_err": ColumnInfo(
            pa.float32(), "", "stat.error;src.redshift.phot", "68 % half-width of z_phot"
        ),
        **{
            name: ColumnInfo(
                pa.float32(),
                "",
                "stat.value;src.redshift.phot",
                f"Redshift below which p(z) has {100 * level:g} %",
            )
            for name, level in QUANTILES.items()
        },
        "z_spec": ColumnInfo(pa.float32(), "", "src.redshift", "Spectroscopic redshift, if known"),
        "flags": ColumnInfo(
            pa.int32(), "", "meta.code", "Bitmask; each bit is described in the file's metadata"
        ),
        "partition": ColumnInfo(
            pa.int32(), "", "meta.id.part", "Partition, in natural order from 0"
        ),
        "row": ColumnInfo(pa.int64(), "", "meta.number", "Row in the partition, from 0"),
    }


COLUMNS = columns_of(BANDS)
PLAUSIBLE: dict[str, Callable[[NDArray[Any]], NDArray[np.bool_]]] = {
    "ra": plausible_right_ascensions,
    "dec": plausible_declinations,
    "z_spec": plausible_redshifts,
}


def _schema(columns: Mapping[str, ColumnInfo]) -> pa.Schema:
    return pa.schema(
        [pa.field(n, c.type, nullable=pa.types.is_floating(c.type)) for n, c in columns.items()]
    )


SCHEMA = _schema(COLUMNS)
FEW_VALUES = ["flags", "partition"]  # in a file, these alone are worth a dictionary
TEXT_ID_SCHEMA = SCHEMA.set(0, pa.field("object_id", pa.string(), nullable=False))


def schema_of(id_bytes: int | None, bands: Bands = BANDS) -> pa.Schema:
    """The schema of a catalogue of these bands.

    Args:
        id_bytes: So many bytes have its ids at most if they are text; None: they are numbers.
    """
    numbers = _schema(columns_of(bands))
    return numbers if id_bytes is None else numbers.set(0, TEXT_ID_SCHEMA.field(0))


def columns_in(names: Iterable[str]) -> dict[str, ColumnInfo]:
    """The columns of the catalogue that has these, by name, in order."""
    return columns_of(bands_of_columns(names))


def rows_to_table(
    columns: Mapping[str, NDArray[Any]],
    z_phot: NDArray[np.float32],
    z_phot_err: NDArray[np.float32],
    z_quantiles: NDArray[np.float32],
    flags: NDArray[np.int32],
    *,
    partition: int,
    start: int,
    bands: Bands = BANDS,
) -> pa.Table:
    """Catalogue rows of consecutive objects of one partition.

    Args:
        columns: The partition's columns but `image`, N rows each.
        z_phot: Redshifts (N,); NaN where there is none.
        z_phot_err: Their 68 % half-widths (N,).
        z_quantiles: Quantiles of p(z) (N, 9), in the order of `QUANTILES`; NaN where unknown.
        flags: `Flag` bitmasks (N,).
        partition: The partition's index in the plan.
        start: Index in the partition of the first row.
        bands: Of the magnitudes, in order.

    Returns:
        A table of the schema of `schema_of`; what isn't finite, and what can be no
        value of its kind, is null.
    """
    rows = len(z_phot)
    values: dict[str, NDArray[Any]] = {
        "object_id": columns["object_id"],
        "ra": columns["ra"],
        "dec": columns["dec"],
        "z_phot": z_phot,
        "z_phot_err": z_phot_err,
        "z_spec": columns.get("z_spec", np.full(rows, np.nan, np.float32)),
        "flags": flags,
        "partition": np.full(rows, partition, np.int32),
        "row": np.arange(start, start + rows, dtype=np.int64),
    }
    for i, band in enumerate(bands):
        values[f"mag_{band}"] = columns["mag"][:, i]
        values[f"mag_err_{band}"] = columns["mag_err"][:, i]
    values |= dict(zip(QUANTILES, z_quantiles.T, strict=True))
    texts = columns["object_id"].dtype.kind == "S"
    arrays = [
        _texts(values[name]) if texts and name == "object_id" else _column(name, info, values[name])
        for name, info in columns_of(bands).items()
    ]
    return pa.Table.from_arrays(arrays, schema=schema_of(1 if texts else None, bands))


def _texts(ids: NDArray[np.bytes_]) -> pa.Array:
    """Text ids, each without the NULs that fill it up; made of buffers as `_column` is."""
    offsets = np.zeros(len(ids) + 1, np.int32)
    np.cumsum(np.strings.str_len(ids), out=offsets[1:])
    stored = stored_ids(ids)
    return pa.StringArray.from_buffers(
        len(ids), pa.py_buffer(offsets), pa.py_buffer(stored[stored != 0])
    )


def _column(name: str, info: ColumnInfo, values: NDArray[Any]) -> pa.Array:
    """A column of these values, made of their buffer.

    `pa.array` would do, but imports pandas where it is installed: 33 MiB and 0.4 s a rank.
    """
    kind = info.type
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values, kind.to_pandas_dtype()))]
    if pa.types.is_floating(kind):
        known = _known(name, values)
        buffers[0] = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), buffers)


def _known(name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of a column's values are some."""
    if name.startswith("mag_err_"):
        return plausible_magnitude_errors(values)
    if name.startswith("mag_"):
        return plausible_magnitudes(values)
    return PLAUSIBLE.get(name, np.isfinite)(values)


def redshifts_of(rows: pa.Table) -> NDArray[np.float32]:
    """z_phot, z_spec and mag_r of catalogue rows (3, N); NaN where there is none."""
    names = ("z_phot", "z_spec", "mag_r")
    return np.stack([rows[name].to_numpy(zero_copy_only=False) for name in names])


def quantiles_of(rows: pa.Table) -> NDArray[np.float64]:
    """Quantiles of p(z) of catalogue rows (N, 9), by `QUANTILES`; NaN where unknown."""
    columns = [rows[name].to_numpy(zero_copy_only=False) for name in QUANTILES]
    return np.stack(columns, axis=1).astype(np.float64)
