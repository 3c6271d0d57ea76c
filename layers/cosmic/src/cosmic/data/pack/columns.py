"""From a file's fields to the columns of a native partition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.columns import BANDS, COLUMNS, completed
from cosmic.data.pack.source import Array, Field, Source
from cosmic.errors import InputError, Problem

NEEDED = ("image", "mag")
NAMES = {
    "image": ("image", "images", "image_array", "cutout", "cutouts"),
    "mag": ("mag", "mags", "magnitude", "magnitudes"),
    "mag_err": ("mag_err", "magerr", "mag_error", "magnitude_error", "magnitude_errors"),
    "object_id": ("object_id", "objid", "object_ids", "id"),
    "ra": ("ra",),
    "dec": ("dec",),
    "z_spec": ("z_spec", "zspec", "redshift", "redshifts", "z"),
}
BAND_NAMES = "image_band"
NANOMAGGIES = ("", "nanomaggy", "nanomaggies", "nmgy")


@dataclass(frozen=True)
class Mapped:
    """Which fields make up which columns.

    Attributes:
        fields: A column's field, or one field a band.
        bands: Names of the bands of `image`, rows first, if the file says them.
        image_scale: What turns the file's pixels into nanomaggies.
    """

    fields: Mapping[str, tuple[Field, ...]]
    bands: Field | None = None
    image_scale: float = 1.0


@dataclass(frozen=True)
class Choices:
    """What a person says of a file that does not say it itself.

    Attributes:
        names: Column to the file's own name for it.
        image_scale: Nanomaggies of one unit of the file's pixels; None: they are nanomaggies.
        number_objects: Whether objects are numbered by row, their ids not taken.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    image_scale: float | None = None
    number_objects: bool = False


def map_columns(source: Source, choices: Choices) -> Mapped | list[Problem]:
    """Find a file's columns, or say everything that is in the way."""
    where = str(source.path)
    fields = {name: _find(source, name, choices) for name in COLUMNS}
    has = f"it has {', '.join(source.fields)}; say --column ours=theirs"
    problems = [
        Problem(where, f"no field is {name!r}", None, has, "no-column")
        for name in (*NEEDED, *choices.names)
        if not fields.get(name)
    ]
    image = fields["image"]
    if image and choices.image_scale is None and image[0].unit.lower() not in NANOMAGGIES:
        message, hint = f"its pixels are in {image[0].unit}", "give --image-scale"
        problems.append(Problem(where, message, image[0].unit, hint, "bad-unit"))
    if problems:
        return problems
    found = {name: parts for name, parts in fields.items() if parts}
    scale = 1.0 if choices.image_scale is None else choices.image_scale
    return Mapped(found, source.fields.get(BAND_NAMES), scale)


def _find(source: Source, column: str, choices: Choices) -> tuple[Field, ...]:
    if column == "object_id" and choices.number_objects:
        return ()
    by_name = {name.lower(): found for name, found in source.fields.items()}
    wanted = (choices.names[column],) if column in choices.names else NAMES[column]
    for name in (n.lower() for n in wanted):
        if column == "z_spec" and name == "z" and "u" in by_name and column not in choices.names:
            continue  # the magnitude in the z band
        if name in by_name:
            return (by_name[name],)
        bands = tuple(by_name[f"{name}_{b}"] for b in BANDS if f"{name}_{b}" in by_name)
        if len(bands) == len(BANDS):
            return bands
    return ()


def read_columns(
    source: Source, mapped: Mapped, index: int, start: int, stop: int
) -> dict[str, NDArray[Any]]:
    """Rows of a file as the columns of a native partition, what it lacks made up or missing.

    Args:
        source: The file.
        mapped: Its columns.
        index: Of the file among all that are packed, for object ids that are made up.
        start: First row.
        stop: One past the last.

    Raises:
        InputError: a column can't be what it has to be.
    """
    columns = {}
    for name, parts in mapped.fields.items():
        values = [part.read(start, stop) for part in parts]
        array = values[0] if len(values) == 1 else np.stack(values, axis=1)
        columns[name] = _converted(source, name, array)
    bands = None if mapped.bands is None else mapped.bands.read(start, stop)
    image = _image(source, columns["image"], bands)
    columns["image"] = (
        image if mapped.image_scale == 1.0 else image * np.float32(mapped.image_scale)
    )
    return completed(columns, index, start)


def _converted(source: Source, name: str, array: Array) -> Array:
    """In the column's type, and of one number a row where the column is."""
    kind = COLUMNS[name].dtype
    if not COLUMNS[name].row_shape and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if name == "object_id":
        return _whole(source, array)
    try:
        return np.ascontiguousarray(array, dtype=kind)
    except (TypeError, ValueError) as error:
        raise _bad(source, f"{name} is {array.dtype}: {error}") from error


def _whole(source: Source, array: Array) -> Array:
    """Object ids: a float has lost digits of a long one, so it is refused."""
    hint = "give whole numbers, or --number-objects"
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array, dtype=np.int64)
    if array.dtype.kind in "SUO":
        texts = [v.decode() if isinstance(v, bytes) else str(v) for v in array]
        try:
            return np.array([int(text) for text in texts], np.int64)
        except (ValueError, OverflowError) as error:
            raise _bad(source, f"object_id is text: {error}", hint) from error
    raise _bad(source, f"object_id is {array.dtype}", hint)


def _image(source: Source, image: Array, bands: Array | None) -> Array:
    """As (rows, band, H, W); flat rows are square, bands may come last or be named."""
    side = math.isqrt(image[0].size // len(BANDS)) if len(image) else 0
    if image.ndim == 2 and len(BANDS) * side * side == image.shape[1]:
        image = image.reshape(-1, len(BANDS), side, side)
    if bands is not None and image.ndim == 4:
        image = image[:, _order(source, bands)]
    if image.ndim == 4 and image.shape[1] != len(BANDS) and image.shape[3] == len(BANDS):
        image = image.transpose(0, 3, 1, 2)
    if image.ndim != 4 or image.shape[1] != len(BANDS):
        hint = f"(rows, {len(BANDS)}, height, width)"
        raise _bad(source, f"image has shape {list(image.shape)}", hint)
    return np.ascontiguousarray(image)


def _order(source: Source, bands: Array) -> list[int]:
    """Where u, g, r, i and z are among bands named like `sdss-g`, the same in all rows."""
    rows = np.atleast_2d(bands)
    if (rows != rows[0]).any():
        raise _bad(source, "its bands differ from row to row")
    texts = [v.decode() if isinstance(v, bytes) else str(v) for v in rows[0]]
    last = [text.replace("_", "-").rpartition("-")[2].lower() for text in texts]
    if missing := [band for band in BANDS if band not in last]:
        raise _bad(source, f"its bands {', '.join(texts)} lack {', '.join(missing)}")
    return [last.index(band) for band in BANDS]


def _bad(source: Source, message: str, hint: str = "") -> InputError:
    return InputError(f"{source.path}: {message}", code="bad-partition", hint=hint)
