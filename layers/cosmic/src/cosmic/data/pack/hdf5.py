"""HDF5: datasets in any groups, as they are or as records of a compound type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np

from cosmic.data.pack.bands import listed_beside, said_bands, text_of, with_bands
from cosmic.data.pack.source import (
    Array,
    Field,
    Source,
    Values,
    array_fields,
    keyed,
    part_of,
    stacked,
    unreadable,
)
from cosmic.data.pack.units import astropy_meta, astropy_units, said_unit

DEPTH = 8
ASTROPY_META = ".__table_column_meta__"
SCALES = ("scale_factor", "add_offset")
UNWRITTEN = "fill value"
FILLS = ("_FillValue", "missing_value", UNWRITTEN)
CONVENTIONS = (*SCALES, *FILLS, "valid_min", "valid_max", "valid_range", "_Unsigned")


def open_hdf5(path: Path) -> Source:
    """A file of datasets whose first axes are rows; also as MultimodalUniverse lays them out.

    `scale_factor`, `add_offset`, `_FillValue`, `missing_value` and `valid_range` (the CF
    conventions) are applied.

    Raises:
        InputError: it is no HDF5 file.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
        except OSError as error:
            raise unreadable(path, error) from error
        said = cache(lambda group: _said(file[group]))
        found = [
            f for at, dataset in _datasets(file, "", DEPTH) for f in _fields(path, at, dataset)
        ]
        fields = listed_beside([_with_bands(f, said) for f in found])
        metadata = {name: text_of(value) for name, value in said("/").items()}
        return Source(path, "hdf5", keyed(fields), metadata, stack.pop_all().close)


def _datasets(group: Any, at: str, depth: int) -> Iterator[tuple[str, Any]]:
    """All datasets with rows; links that lead nowhere are passed over, loops end at `depth`."""
    for name in group:
        found = group.get(name)
        if isinstance(found, h5py.Dataset) and found.shape:
            yield f"{at}{name}", found
        elif isinstance(found, h5py.Group) and depth:
            yield from _datasets(found, f"{at}{name}/", depth - 1)


def _fields(path: Path, at: str, dataset: Any) -> list[Field]:
    group, _, name = at.rpartition("/")
    if name.endswith(ASTROPY_META):
        return []
    if dataset.dtype.names:  # records are a table of their own
        header = _astropy_header(dataset, at)
        units = astropy_units(header) if header else {}
        found = array_fields(name, dataset, dataset.dtype, dataset.shape, **_place("dataset", at))
        found = [_record_text(replace(f, unit=units.get(f.name, "")), dataset) for f in found]
        said = {**(astropy_meta(header) if header else {}), **dataset.attrs}
        return with_bands(found, said)
    place = _place("group", group)
    (field,) = array_fields(name, dataset, dataset.dtype, dataset.shape, **place)
    field = replace(field, unit=said_unit(dataset.attrs), bands=said_bands(dataset.attrs))
    read = _texts(field, dataset) if dataset.dtype.kind == "O" else field
    return [_scaled(path, read, dataset)]


def _place(kind: str, at: str) -> dict[str, Any]:
    return {"place": f"{kind} {at}", "place_names": (at, f"/{at}")} if at else {}


def _astropy_header(dataset: Any, at: str) -> list[str]:
    """What astropy's own writer keeps of a table in a dataset beside it."""
    meta = dataset.file.get(f"{at}{ASTROPY_META}")
    return [] if meta is None else [line.decode() for line in meta[:]]


def _with_bands(field: Field, said: Callable[[str], Mapping[str, Any]]) -> Field:
    """With those that the nearest group around a field, or the file, says of all in it."""
    at = PurePosixPath("/", field.place_names[0] if field.place_names else "")
    for group in (at, *at.parents):
        (field,) = with_bands([field], said(str(group)))
    return field


def _said(group: Any) -> dict[str, Any]:
    """A group's attributes, and the single values that lie in it as datasets."""
    if not isinstance(group, h5py.Group):
        return {}
    found = ((name, group.get(name)) for name in group)
    single = {n: d[()] for n, d in found if isinstance(d, h5py.Dataset) and d.shape == ()}
    return {**single, **group.attrs}


def _record_text(field: Field, dataset: Any) -> Field:
    """Texts of any length in records are objects to h5py."""
    is_text = h5py.check_string_dtype(part_of(dataset.dtype, field.name))
    return replace(field, kind="S", dtype="text") if is_text and field.kind == "O" else field


def _texts(field: Field, dataset: Any) -> Field:
    """Texts and arrays of varying length: h5py gives objects."""
    if h5py.check_string_dtype(dataset.dtype):
        return replace(field, kind="S", dtype="text")
    base = h5py.check_vlen_dtype(dataset.dtype)
    if base is None or not field.rows or dataset.ndim > 1:
        return field
    shape = np.shape(dataset[0])

    def read(start: int, stop: int) -> Values:
        return Values(stacked(list(dataset[start:stop]), field.name, start, shape))

    return replace(field, kind=base.kind, dtype=str(base), row_shape=shape, read=read)


def _scaled(path: Path, field: Field, dataset: Any) -> Field:
    """The CF conventions' attributes: values are packed x scale_factor + add_offset.

    Attributes that can't be honoured are told when the values are asked for.
    """
    said = _conventions(dataset)
    if not said:
        return field

    def read(start: int, stop: int) -> Values:
        if "_Unsigned" in said:
            raise unreadable(
                path, f"{field.name} has the attribute _Unsigned, which is not supported"
            )
        scale, offset = (_number(path, said, name) for name in SCALES)
        values = packed = field.read(start, stop).data
        if scale is not None or offset is not None:
            values = packed * (1.0 if scale is None else scale) + (offset or 0.0)
        return Values(values, _missing(path, said, packed))

    if any(name in said for name in SCALES):
        return replace(field, read=read, kind="f", dtype="float64")
    return replace(field, read=read)


def _conventions(dataset: Any) -> dict[str, Any]:
    """What is said of a dataset's values; what was never written is missing, if it was said which
    value is there instead. (Zero is HDF5's own, and may be a pixel.)"""
    said = {name: dataset.attrs[name] for name in CONVENTIONS if name in dataset.attrs}
    defined = dataset.id.get_create_plist().fill_value_defined()
    if defined == h5py.h5d.FILL_VALUE_USER_DEFINED and np.any(dataset.fillvalue):
        said[UNWRITTEN] = dataset.fillvalue
    return said


def _missing(path: Path, said: Mapping[str, Any], packed: Array) -> Array:
    """Which packed values the attributes say are missing."""
    missing = np.zeros(packed.shape, bool)
    for name in (name for name in FILLS if name in said):
        missing |= np.isin(packed, _like(path, name, said[name], packed.dtype))
    low, high = (_number(path, said, name) for name in ("valid_min", "valid_max"))
    if "valid_range" in said:
        low, high = (v.item() for v in np.ravel(said["valid_range"]))
    if low is not None:
        missing |= packed < low
    if high is not None:
        missing |= packed > high
    return missing


def _like(path: Path, name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Values that stand for missing ones as a dataset has them: 1e20 is another number in float32,
    and a text of it is none."""
    fills = np.ravel(np.asarray(value))
    if dtype.kind == "O":
        return np.array([text_of(fill).encode() for fill in fills], object)
    try:
        with np.errstate(over="ignore"):
            return fills.astype(dtype) if dtype.kind not in "iu" else _whole(fills, dtype)
    except (ValueError, TypeError) as error:
        raise unreadable(path, f"its attribute {name} is {value!r}, but it has {dtype}") from error


def _whole(fills: Array, dtype: np.dtype[Any]) -> Array:
    """Those that a dataset of whole numbers can have."""
    numbers = [float(fill) if fills.dtype.kind == "f" else int(fill) for fill in fills]
    ends = np.iinfo(dtype)
    return np.array([n for n in numbers if n == n // 1 and ends.min <= n <= ends.max], dtype)


def _number(path: Path, said: Mapping[str, Any], name: str) -> float | int | None:
    if name not in said:
        return None
    value = np.asarray(said[name])
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise unreadable(path, f"its attribute {name} is {value!r}, not a number")
    number: float | int = value.reshape(-1)[0].item()
    return number
