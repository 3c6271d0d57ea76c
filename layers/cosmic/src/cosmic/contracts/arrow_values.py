"""Columns of Arrow as NumPy's arrays, without pandas, and without Arrow where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


def values_of(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Numbers (N,) of a column, NaN where there is none; of a column of text, objects.

    `to_numpy` would do, but imports pandas where it is installed: 33 MiB and 0.3 s.

    Args:
        column: Of numbers of whole bytes, floating-point ones if some are null, or of text.
    """
    if str(column.type) == "string":
        return np.array(column.to_pylist(), object)
    whole = column if hasattr(column, "buffers") else column.combine_chunks()
    kind = np.dtype(whole.type.to_pandas_dtype())
    known, values = whole.buffers()
    if not len(whole):
        return np.empty(0, kind)
    rows = slice(whole.offset, whole.offset + len(whole))
    numbers: NDArray[Any] = np.frombuffer(values, kind, rows.stop)[rows]
    if not whole.null_count:
        return numbers
    bits = np.frombuffer(known, np.uint8)
    there = np.unpackbits(bits, count=rows.stop, bitorder="little")[rows]
    return np.where(there, numbers, kind.type(np.nan))


def rows_at(table: pa.Table, at: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The rows with these numbers (N,), by column name; `take` of an array would import pandas.

    Args:
        table: What they are taken from.
        at: Their numbers, from 0.
    """
    import pyarrow as pa

    numbers = pa.py_buffer(np.ascontiguousarray(at, np.int64))
    chosen = pa.Array.from_buffers(pa.int64(), len(at), [None, numbers])
    rows: list[dict[str, Any]] = table.take(chosen).to_pylist()
    return rows
