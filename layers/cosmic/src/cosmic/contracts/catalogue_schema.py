"""The catalogue as an Arrow table: one row an object, in the order of the plan."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmic.contracts.catalogue_columns import COLUMNS, NULLABLE, Rows
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.text_ids import stored_ids

SCHEMA = pa.schema(
    [pa.field(n, pa.from_numpy_dtype(c.dtype), nullable=n in NULLABLE) for n, c in COLUMNS.items()]
)
FEW_VALUES = ["flags", "partition"]  # in a file, these alone are worth a dictionary
TEXT_ID_SCHEMA = SCHEMA.set(0, pa.field("object_id", pa.string(), nullable=False))


def schema_of(id_bytes: int | None) -> pa.Schema:
    """The schema of a catalogue whose ids are text of so many bytes at most; None: numbers."""
    return SCHEMA if id_bytes is None else TEXT_ID_SCHEMA


def table_of(rows: Rows) -> pa.Table:
    """Catalogue rows as a table of `SCHEMA`, or of `TEXT_ID_SCHEMA`; what isn't finite is null.

    Args:
        rows: Rows (N,) of `catalogue_columns.row_dtype`.
    """
    schema = TEXT_ID_SCHEMA if rows.dtype["object_id"].kind == "S" else SCHEMA
    return pa.Table.from_arrays([_column(rows, field) for field in schema], schema=schema)


def _column(rows: Rows, field: pa.Field) -> pa.Array:
    """A column of these rows, made of buffers.

    `pa.array` would do, but imports pandas where it is installed: 33 MiB and 0.4 s.
    """
    if pa.types.is_string(field.type):
        return _texts(rows[field.name])
    # A copy in any case: of a single row, NumPy calls a view contiguous that is not aligned.
    values = rows[field.name].copy()
    buffers = [None, pa.py_buffer(values)]
    if field.nullable and not (known := np.isfinite(values)).all():
        buffers[0] = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(field.type, len(values), buffers)


def _texts(ids: NDArray[np.bytes_]) -> pa.Array:
    """Text ids, each without the NULs that fill it up."""
    offsets = np.zeros(len(ids) + 1, np.int32)
    np.cumsum(np.strings.str_len(ids), out=offsets[1:])
    stored = stored_ids(ids)
    return pa.StringArray.from_buffers(
        len(ids), pa.py_buffer(offsets), pa.py_buffer(stored[stored != 0])
    )


def redshifts_of(rows: pa.Table) -> NDArray[np.float32]:
    """z_phot, z_spec and mag_r of catalogue rows (3, N); NaN where there is none."""
    names = ("z_phot", "z_spec", "mag_r")
    return np.stack([rows[name].to_numpy(zero_copy_only=False) for name in names])


def quantiles_of(rows: pa.Table) -> NDArray[np.float32]:
    """Quantiles of p(z) of catalogue rows (N, 9), by `QUANTILES`; NaN where unknown."""
    columns = [rows[name].to_numpy(zero_copy_only=False) for name in QUANTILES]
    return np.stack(columns, axis=1)
