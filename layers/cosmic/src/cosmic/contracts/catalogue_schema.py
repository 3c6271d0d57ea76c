"""The catalogue in Arrow's terms: one row an object, in the order of the plan."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.bands import BANDS, Bands, bands_of_columns
from cosmic.contracts.catalogue_columns import Rows, can_be_null, columns_of
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.text_ids import stored_ids

FEW_VALUES = ["flags", "partition"]  # in a file, these alone are worth a dictionary


@cache
def schema_of(id_bytes: int | None, bands: Bands = BANDS) -> pa.Schema:
    """The schema of a catalogue of these bands.

    Args:
        id_bytes: Most bytes of an id if ids are text; None: they are numbers.
        bands: In their order.
    """
    columns = {name: column.dtype for name, column in columns_of(bands).items()}
    fields = [
        pa.field(name, pa.from_numpy_dtype(kind), nullable=can_be_null(kind))
        for name, kind in columns.items()
    ]
    if id_bytes is not None:
        fields[0] = pa.field("object_id", pa.string(), nullable=False)
    return pa.schema(fields)


PREFIX = "cosmic."  # of what a Parquet file's metadata say of the catalogue
SCHEMA = schema_of(None)


def table_of(rows: Rows) -> pa.Table:
    """Catalogue rows as a table of the schema of their bands and ids; what isn't finite is null.

    Args:
        rows: Rows (N,) of `catalogue_columns.row_dtype`.
    """
    texts = rows.dtype["object_id"].kind == "S"
    schema = schema_of(1 if texts else None, bands_of_columns(rows.dtype.names or ()))
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
    return np.stack([values_of(rows[name]) for name in names])


def quantiles_of(rows: pa.Table) -> NDArray[np.float32]:
    """Quantiles of p(z) of catalogue rows (N, 9), by `QUANTILES`; NaN where unknown."""
    columns = [values_of(rows[name]) for name in QUANTILES]
    return np.stack(columns, axis=1)


def in_schema(rows: pa.Table) -> pa.Table:
    """Rows of a catalogue's Parquet file in the schema of their ids and bands.

    Raises:
        KeyError, ValueError, ArrowException: they are not those of a catalogue.
    """
    ids = None if pa.types.is_integer(rows.schema.field("object_id").type) else 1
    return completed(rows, schema_of(ids, bands_of_columns(rows.column_names)))


def completed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The schema's columns; quantiles that catalogues of earlier versions lack are null."""
    for name in (n for n in QUANTILES if n not in table.column_names):
        table = table.append_column(schema.field(name), pa.nulls(table.num_rows, pa.float32()))
    return table.select(schema.names).cast(schema)
