"""One FITS file an object, joined to a catalogue by ids or names of files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.utils.exceptions import AstropyUserWarning

from cosmic.contracts.bands import Bands
from cosmic.data.pack.bands import band_order, bands_of_all
from cosmic.data.pack.source import Array, Field, Joined, RowsRefused, Values, unreadable
from cosmic.errors import InputError

SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz")
NAMES_AT_ONCE = 4096
SHOWN_NAMES = 3
NONE = -1
OPTION = "--cutout-hdu NAME"
DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, VerifyError)


def files_in(folder: Path) -> tuple[Path, ...]:
    """All FITS files in a folder and in those within it, in order; links to folders are left out.

    Raises:
        InputError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder", code="not-found", hint="give --cutouts FOLDER"
        )
    found = tuple(sorted(_walked(folder)))
    if not found:
        hint = f"cutouts are files whose names end in {', '.join(SUFFIXES)}"
        raise InputError(f"there are no cutouts in {folder}", code="not-found", hint=hint)
    return found


def _walked(folder: Path) -> Iterator[Path]:
    for at, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(at, name)


def join(names: Field, folder: Path, bands: Bands, hdus: Sequence[str] = ()) -> Joined:
    """The cutouts of the objects in a catalogue.

    A name is looked up among the files that are in the folder; it is never made a path.

    Args:
        names: An id (`12` is the file `12.fits`), or the file's name below the folder, of each row.
        folder: Where the files are.
        bands: That are taken, in order.
        hdus: Which HDU of each file is its image, or which ones are its bands in order.

    Raises:
        RowsRefused: rows whose name is that of several files.
        InputError: there are no cutouts, or none is of an object; or the first can't be read.
    """
    files = files_in(folder)
    rows = _rows(names, folder, files)
    used = frozenset(files[at] for at in np.unique(rows[rows != NONE]))
    first = next((files[at] for at in rows if at != NONE), None)
    if first is None:
        shown = ", ".join(str(p.relative_to(folder)) for p in files[:SHOWN_NAMES])
        message = f"no cutout in {folder} belongs to an object; there are {shown}"
        hint = f"{names.name} must be its name, with or without .fits; see --cutout-name"
        raise InputError(message, code="no-cutouts", hint=hint)
    cutouts = _Cutouts(files, rows, _opened(first, hdus, bands), (hdus, bands))
    return Joined(cutouts.field(folder), used, int(np.count_nonzero(rows == NONE)))


def _rows(names: Field, folder: Path, files: Sequence[Path]) -> Array:
    """Of each row the number of its file, or `NONE`."""
    numbers: dict[str, list[int]] = {}
    for number, path in enumerate(files):
        for name in {path.relative_to(folder).as_posix(), path.name, _stem(path)}:
            numbers.setdefault(name, []).append(number)
    rows = np.full(names.rows, NONE, np.int64)
    several: dict[int, str] = {}
    for row, name in enumerate(_texts(names)):
        found = numbers.get(name, [])
        if len(found) == 1:
            rows[row] = found[0]
        elif found:
            several[row] = ", ".join(str(files[n].relative_to(folder)) for n in found[:SHOWN_NAMES])
    if several:
        what = f"{names.name} names more than one cutout"
        hint = "give the files' names below the folder with --cutout-name COLUMN"
        raise RowsRefused(what, list(several), list(several.values()), hint)
    return rows


def _stem(path: Path) -> str:
    """The name without the ending."""
    ending = max((s for s in SUFFIXES if path.name.lower().endswith(s)), key=len)
    return path.name[: -len(ending)]


def _texts(names: Field) -> Iterator[str]:
    """An empty text where there is no name."""
    for start in range(0, names.rows, NAMES_AT_ONCE):
        values = names.read(start, min(start + NAMES_AT_ONCE, names.rows))
        data = values.data.reshape(len(values.data), -1)[:, 0]
        for value, gone in zip(data.tolist(), values.missing_rows(), strict=True):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            yield "" if gone else text


@dataclass(frozen=True)
class _Cutout:
    """Pixels (B, H, W) and the unit that the file says."""

    pixels: Array
    unit: str


class _Cutouts:
    """Reads a file a row; all must be like the first."""

    def __init__(
        self,
        files: Sequence[Path],
        rows: Array,
        first: _Cutout,
        chosen: tuple[Sequence[str], Bands],
    ) -> None:
        self._files, self._rows, self._chosen = files, rows, chosen
        self._shape, self._unit = first.pixels.shape, first.unit

    def field(self, folder: Path) -> Field:
        """All of them as a field that belongs to no table."""
        return Field(
            name="image",
            rows=len(self._rows),
            dtype="float32",
            kind="f",
            row_shape=self._shape,
            read=self._read,
            unit=self._unit,
            place=f"cutouts in {folder}",
            place_names=("cutouts",),
            cube=True,
        )

    def _read(self, start: int, stop: int) -> Values:
        numbers = self._rows[start:stop]
        image = np.full((len(numbers), *self._shape), np.nan, np.float32)
        refused: dict[int, str] = {}
        for at in np.flatnonzero(numbers != NONE):
            path = self._files[numbers[at]]
            try:
                image[at] = self._like_the_first(path)
            except InputError as error:
                refused[start + int(at)] = error.message
        if refused:
            what = "cutouts that can't be used"
            raise RowsRefused(what, list(refused), list(refused.values()))
        return Values(image)

    def _like_the_first(self, path: Path) -> Array:
        found = _opened(path, *self._chosen)
        if found.pixels.shape != self._shape:
            raise unreadable(path, f"shape {found.pixels.shape}, the first has {self._shape}")
        if found.unit != self._unit:
            unit = f"in {found.unit or 'no unit'}, the first is in {self._unit or 'none'}"
            raise unreadable(path, unit)
        return found.pixels


def _opened(path: Path, hdus: Sequence[str], bands: Bands) -> _Cutout:
    """A file's cutout.

    Raises:
        InputError: it has none, or several.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # files that aren't to the standard
            with fits.open(path, memmap=False) as file:
                return _cutout(path, [h for h in file if _is_image(h)], hdus, bands)
    except DAMAGED as error:
        raise unreadable(path, error) from error


def _is_image(hdu: Any) -> bool:
    return bool(hdu.is_image) and len(hdu.shape) in (2, 3)


def _cutout(path: Path, images: list[Any], hdus: Sequence[str], bands: Bands) -> _Cutout:
    images = [_named(path, images, name) for name in hdus] if hdus else images
    cubes = [h for h in images if len(h.shape) == 3]
    planes = [h for h in images if len(h.shape) == 2]
    if len(cubes) > 1:
        names = ", ".join(h.name or "without a name" for h in cubes)
        raise InputError(f"{path} has more than one image: {names}; see {OPTION}")
    if cubes:
        return _Cutout(_cube(path, cubes[0], bands), _unit(cubes[0]))
    if not hdus:
        planes = _by_band(path, planes, bands)
    units = {_unit(h): h for h in planes}
    if len(planes) != len(bands) or len(units) > 1 or len({h.shape for h in planes}) > 1:
        said = ", ".join(f"{h.name} {h.shape} {_unit(h)}".strip() for h in planes)
        raise unreadable(path, f"its images ({said}) are not {len(bands)} of one shape and unit")
    return _Cutout(np.stack([np.asarray(h.data) for h in planes]), next(iter(units)))


def _named(path: Path, images: list[Any], name: str) -> Any:
    found = [h for h in images if h.name.casefold() == name.casefold()]
    if len(found) != 1:
        names = ", ".join(h.name or "without a name" for h in images)
        raise InputError(f"{path}: {len(found)} images are named {name!r}; it has {names}")
    return found[0]


def _unit(hdu: Any) -> str:
    return str(hdu.header.get("BUNIT") or "").strip()


def _cube(path: Path, hdu: Any, bands: Bands) -> Array:
    """With the bands first, in the order that BANDS or FILTERS says if it is there."""
    pixels = np.asarray(hdu.data)
    names = bands_of_all(hdu.header)
    count = len(names) or len(bands)
    if pixels.shape[0] != count and pixels.shape[-1] == count:
        pixels = np.moveaxis(pixels, -1, 0)
    if pixels.shape[0] != count:
        raise unreadable(path, f"shape {pixels.shape} is not ({count}, height, width)")
    return pixels[band_order(names, bands)] if names else pixels


def _by_band(path: Path, planes: list[Any], bands: Bands) -> list[Any]:
    """Images of one band each, in order, by their EXTNAME or FILTER."""
    names = [str(h.header.get("EXTNAME") or h.header.get("FILTER") or "") for h in planes]
    if not planes:
        raise unreadable(path, "it has no image")
    try:
        order = band_order(names, bands)
    except InputError as error:
        raise InputError(f"{path}: {error.message}; see {OPTION}") from error
    return [planes[at] for at in order]
