"""What is in a file of data: fields, units, what is missing, whether it is damaged, a sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cosmic.contracts.plausible import PLAUSIBLE
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.columns import map_columns
from cosmic.data.pack.opening import opened
from cosmic.data.pack.partitions import damaged
from cosmic.data.pack.pixel_sample import PixelSample
from cosmic.data.pack.source import Array, Field, Source, Values
from cosmic.data.pack.taken import Mapped
from cosmic.errors import InputError

BYTES_AT_ONCE = 16 << 20
ROWS_AT_ONCE = 2048
SHOWN_VALUES = 8
SHOWN_TEXT = 200


def look(path: Path, sample: int, choices: Choices | None = None) -> dict[str, Any]:
    """Everything about one file, as JSON.

    Args:
        path: The file, or a folder of `.npy` files.
        sample: How many of its first rows to show; arrays of more than eight numbers as shapes.
        choices: What `pack` would be told about it.

    Returns:
        `path`, `format`, `bytes`, `rows`, `fields` (each with `dtype`, `shape`, `unit`, `missing`,
        `min`, `max`, `column` that it would be packed as, `problem` if its values can't be read as
        one array), `problems` that would keep it from being packed, `photometry` (how bright
        the pixels are compared with the magnitudes; see `cosmic.data.photometry_check.Report`),
        `checksums` (`ok`, `damaged` or `none`), `damaged` columns, `metadata` and `sample`.

    Raises:
        InputError: it does not have the format that its name says.
    """
    with opened(path) as source:
        bad = damaged(path) if source.format == "safetensors" else None
        mapped = map_columns(source, choices or Choices())
        fields = {n: _facts(f, *_column(mapped, f)) for n, f in source.fields.items()}
        return {
            "path": str(path),
            "format": source.format,
            "bytes": _size(path),
            "rows": source.rows,
            "fields": fields,
            "problems": [p.as_dict() for p in mapped.problems],
            "photometry": None if mapped.problems else PixelSample().look(path, mapped),
            "checksums": "none" if bad is None else "damaged" if bad else "ok",
            "damaged": bad or [],
            "metadata": {str(name): _shown(value) for name, value in source.metadata.items()},
            "sample": _sample(source, min(sample, source.rows)),
        }


def _column(mapped: Mapped, each: Field) -> tuple[str | None, bool]:
    """What a field would be packed as, and whether that is computed from it."""
    for column, taken in mapped.taken.items():
        if any(f is each or f is each.numbers for f in taken.fields):
            return column, taken.fluxes is not None
    return None, False


def _size(path: Path) -> int:
    files = path.glob("*.npy") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _facts(each: Field, column: str | None, computed: bool) -> dict[str, Any]:
    facts = {
        "dtype": each.dtype,
        "shape": list(each.row_shape),
        "unit": each.unit,
        "missing": 0,
        "min": None,
        "max": None,
        "column": column,
    }
    try:
        return {**facts, **_ends(each, "" if computed else column)}
    except InputError as error:
        return {**facts, "problem": error.message}


def _ends(each: Field, column: str | None) -> dict[str, Any]:
    """What is missing, the least and the greatest of the rest."""
    missing, ends = 0, []
    row = max(1, 8 * int(np.prod([n or 1 for n in each.row_shape])))
    step = max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // row))
    for start in range(0, each.rows, step):
        values = each.read(start, min(start + step, each.rows))
        there = _there(column, each.name, values)
        missing += int(there.size - np.count_nonzero(there))
        if values.data.dtype.kind in "iuf":
            known = values.data[there]
            ends += [known.min(), known.max()] if known.size else []
    least, most = (_plain(min(ends)), _plain(max(ends))) if ends else (None, None)
    return {"missing": missing, "min": least, "max": most}


def _there(column: str | None, name: str, values: Values) -> Array:
    """As a packer sees it: 99 is no magnitude, but a pixel or an id may be 99."""
    there = ~values.missing_values()
    if values.data.dtype.kind not in "iuf":
        return there
    if column is None and "mag" in name.lower() and "flux" not in name.lower():
        column = "mag"
    if column in PLAUSIBLE:
        return there & PLAUSIBLE[column](values.data)
    return there & np.isfinite(values.data)


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, np.integer) else float(value)


def _sample(source: Source, rows: int) -> list[dict[str, Any]]:
    columns = {name: _first(each, rows) for name, each in source.fields.items()}
    return [
        {name: values[i] for name, values in columns.items() if i < len(values)}
        for i in range(rows)
    ]


def _first(each: Field, rows: int) -> list[Any]:
    """The first values of a field, for people."""
    rows = min(rows, each.rows)
    try:
        values = each.read(0, rows)
    except InputError:
        return ["rows of different shapes"] * rows
    gone = values.missing_rows()
    return [None if gone[i] else _shown(values.data[i]) for i in range(rows)]


def _shown(value: Any) -> Any:
    """As JSON, whatever it is."""
    if isinstance(value, np.ndarray | np.generic):
        return _shown_array(np.asarray(value))
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _shown(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        few = len(value) <= SHOWN_VALUES
        return [_shown(v) for v in value] if few else f"{len(value)} values"
    return _short(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _shown_array(array: Array) -> Any:
    if array.size > SHOWN_VALUES:
        return f"{array.dtype} {list(array.shape)}"
    if array.dtype.kind in "mM":
        array = array.astype(str)
    plain = array.tolist()
    return _short(str(plain)) if isinstance(plain, np.ndarray | np.generic) else _shown(plain)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_TEXT else text[:SHOWN_TEXT] + "…"
