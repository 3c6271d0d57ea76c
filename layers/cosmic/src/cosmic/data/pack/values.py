"""Rows of a file as columns of a native partition: converted, or refused by row number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cosmic.contracts.bands import Bands
from cosmic.contracts.columns import COLUMNS, partition_columns
from cosmic.contracts.plausible import PLAUSIBLE
from cosmic.data.pack.bands import band_order, bands_of, read_in_order, text_of
from cosmic.data.pack.fluxes import Fluxes
from cosmic.data.pack.ids import object_ids
from cosmic.data.pack.layout import image_layout
from cosmic.data.pack.source import Array, Values, joined
from cosmic.data.pack.taken import Mapped, Taken
from cosmic.data.pack.tally import Tally
from cosmic.data.page_memory import page_array
from cosmic.errors import InputError


def read_column(
    mapped: Mapped, column: str, start: int, stop: int, tally: Tally, *, text_ids: bool = False
) -> Array:
    """Rows of one column in its type; what is missing is NaN and counted.

    Args:
        text_ids: Whether ids of this data set are kept as text.

    Raises:
        RowsRefused: rows that can't be what the column needs.
        InputError: the whole column can't.
    """
    taken, bands = mapped.taken[column], mapped.wanted
    if taken.fluxes is not None:
        return _of_fluxes(column, taken.fluxes, start, stop, tally)
    if column in ("mag", "mag_err"):
        values = read_in_order(taken.fields, start, stop, bands)
        return quantity(column, values, taken, bands, tally)
    values = joined([f.read(start, stop) for f in taken.fields])
    if column == "object_id":
        return object_ids(values, start, as_text=text_ids)
    if column == "image":
        named = mapped.bands.read(start, stop).data if mapped.bands is not None else None
        return _image(values, taken, named, bands, tally)
    return quantity(column, values, taken, bands, tally)


def quantity(column: str, values: Values, taken: Taken, bands: Bands, tally: Tally) -> Array:
    """Numbers that have a plausible range; what lies outside is missing."""
    wanted = partition_columns(len(bands))[column]
    kind, shape = wanted.dtype, wanted.row_shape
    data, gone = values.data, values.missing_values()
    if not shape and data.shape[1:] == (1,):
        data, gone = data[:, 0], gone[:, 0]
    if data.shape[1:] != shape:
        raise InputError(f"{column} has shape {list(data.shape)}", code="bad-partition")
    if taken.factor != 1.0:
        data = data * taken.factor
    there = PLAUSIBLE[column](data) & ~gone
    tally.missing(column, values, gone, there)
    with np.errstate(over="ignore", invalid="ignore"):  # only what is not there overflows
        numbers = data.astype(kind)
    numbers[~there] = np.nan
    return numbers


def _of_fluxes(column: str, fluxes: Fluxes, start: int, stop: int, tally: Tally) -> Array:
    """Magnitudes, or their errors; where a flux is missing, so are both."""
    values, mag, mag_err = fluxes.magnitudes(start, stop)
    numbers = mag if column == "mag" else mag_err
    gone = values.missing_values()
    there = PLAUSIBLE[column](numbers) & ~gone
    tally.missing(column, values, gone, there)  # by the fluxes' values
    found: Array = np.where(there, numbers, np.float32(np.nan))
    return found


def _image(values: Values, taken: Taken, named: Array | None, bands: Bands, tally: Tally) -> Array:
    """Pixels as float32 (rows, band, H, W) in nanomaggies; missing ones are NaN."""
    kind = COLUMNS["image"].dtype
    image = values.data
    if image.dtype != kind or not image.flags.c_contiguous:
        image = page_array(image.shape, kind)
        with np.errstate(over="ignore"):  # infinite pixels are bad ones
            image[...] = values.data
    if values.missing is not None and values.missing.any():
        image = np.where(values.missing_values(), kind.type(np.nan), image)
    image = _axes(image, _names(named, taken), bands)
    if taken.factor != 1.0:
        image = image * np.float32(taken.factor)
    image = np.ascontiguousarray(image)
    tally.pixels(image)
    return image


def _names(named: Array | None, taken: Taken) -> Sequence[str]:
    """Names of the image's bands, the same in all rows, if the file says them."""
    if named is None:
        return bands_of(taken.fields)
    rows = np.atleast_2d(named)
    if (rows != rows[0]).any():
        raise InputError("its bands differ from row to row", code="bad-partition")
    return [text_of(v) for v in rows[0]]


def _axes(image: Array, names: Sequence[str], wanted: Bands) -> Array:
    """With the bands first, in order; flat rows are square."""
    n = len(names) or len(wanted)
    placed = _bands_first(image, n)
    if placed is None:
        of = f" with {n} bands, {', '.join(names)}" if names else ""
        message = f"image has shape {list(image.shape)}"
        hint = f"(rows, {n}, height, width){of}"
        raise InputError(message, code="bad-partition", hint=hint)
    order = band_order(names, wanted) if names else []
    return placed if order in ([], list(range(n))) else placed[:, order]


def _bands_first(image: Array, n: int) -> Array | None:
    """Images of n bands (rows, band, H, W); None: their axes are not known."""
    rows = len(image)
    side = math.isqrt(math.prod(image.shape[1:]) // n)
    match image_layout(image.shape[1:], n):
        case "bands-first":
            return image
        case "bands-last":
            return image.transpose(0, 3, 1, 2)
        case "flat" | "flat-bands-first":
            return image.reshape(rows, n, side, side)
        case "flat-bands-last":
            return image.reshape(rows, side, side, n).transpose(0, 3, 1, 2)
    return None
