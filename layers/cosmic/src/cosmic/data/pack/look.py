"""What is in a file of data: fields, units, what is missing, whether it is damaged, a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cosmic.contracts.plausible import plausible_magnitude_errors, plausible_magnitudes
from cosmic.data.pack.opening import opened
from cosmic.data.pack.partitions import damaged
from cosmic.data.pack.source import Array, Field, Source

ROWS_AT_ONCE = 2048
SHOWN_VALUES = 8


def look(path: Path, sample: int) -> dict[str, Any]:
    """Everything about one file, as JSON.

    Args:
        path: The file, or a folder of `.npy` files.
        sample: So many of its first rows are shown; arrays of more than eight numbers as shapes.

    Returns:
        `path`, `format`, `bytes`, `rows`, `fields` (each with `dtype`, `shape`, `unit`, `missing`,
        `min`, `max`), `checksums` (`ok`, `damaged` or `none`), `damaged` columns, `metadata` and
        `sample`.

    Raises:
        InputError: it is not what its name says.
    """
    with opened(path) as source:
        bad = damaged(path) if source.format == "safetensors" else None
        return {
            "path": str(path),
            "format": source.format,
            "bytes": _size(path),
            "rows": source.rows,
            "fields": {name: _facts(name, f, source.rows) for name, f in source.fields.items()},
            "checksums": "none" if bad is None else "damaged" if bad else "ok",
            "damaged": bad or [],
            "metadata": dict(source.metadata),
            "sample": _sample(source, min(sample, source.rows)),
        }


def _size(path: Path) -> int:
    files = path.glob("*.npy") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _facts(name: str, field: Field, rows: int) -> dict[str, Any]:
    missing, ends = 0, []
    for start in range(0, rows, ROWS_AT_ONCE):
        values = field.read(start, min(start + ROWS_AT_ONCE, rows))
        if values.dtype.kind not in "iuf":
            break
        there = _there(name, values)
        missing += int(values.size - np.count_nonzero(there))
        known = values[there]
        ends += [known.min(), known.max()] if known.size else []
    return {
        "dtype": field.dtype,
        "shape": list(field.row_shape),
        "unit": field.unit,
        "missing": missing,
        "min": _plain(min(ends)) if ends else None,
        "max": _plain(max(ends)) if ends else None,
    }


def _there(name: str, values: Array) -> Array:
    """99 is a missing magnitude, but a pixel or an id may be 99."""
    if values.dtype.kind != "f":
        return np.ones(values.shape, bool)
    if "mag" not in name.lower():
        return np.isfinite(values)
    return (plausible_magnitude_errors if "err" in name.lower() else plausible_magnitudes)(values)


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, np.integer) else float(value)


def _sample(source: Source, rows: int) -> list[dict[str, Any]]:
    columns = {name: field.read(0, rows) for name, field in source.fields.items()}
    return [{name: _shown(values[i]) for name, values in columns.items()} for i in range(rows)]


def _shown(value: Any) -> Any:
    array = np.asarray(value)
    if array.size > SHOWN_VALUES:
        return f"{array.dtype} {list(array.shape)}"
    if array.dtype.kind == "f":
        plain = [None if not np.isfinite(v) else float(v) for v in array.reshape(-1)]
        return plain if array.ndim else plain[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else array.tolist()
