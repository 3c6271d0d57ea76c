"""FITS, read by astropy: binary tables, and image cubes of all objects beside one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError, VerifyWarning

from cosmic_cli.packing.source import Array, Field, Source, Values, keyed, stacked, unreadable

CUBE_AXES = 4


def open_fits(path: Path) -> Source:
    """All binary tables, and as cubes all images of four axes (N, band, H, W).

    TSCAL, TZERO, BSCALE and BZERO are applied, TNULL and BLANK are missing values.

    Raises:
        InputError: it is no whole FITS file, or has neither.
    """
    size = path.stat().st_size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VerifyWarning)
            # Tables are mapped and let go of after each piece; sections of cubes are read.
            tables = fits.open(path, memmap=True, character_as_bytes=True, lazy_load_hdus=False)
            cubes = fits.open(path, memmap=False, lazy_load_hdus=False)
            fields = [
                field
                for number, (table, cube) in enumerate(zip(tables, cubes, strict=True))
                for field in _fields(path, number, table, cube, size)
            ]
    except (OSError, ValueError, TypeError, KeyError, VerifyError, VerifyWarning) as error:
        raise unreadable(path, error) from error

    def close() -> None:
        tables.close()
        cubes.close()

    if not fields:
        close()
        raise unreadable(path, "it has no binary table")
    return Source(path, "fits", keyed(fields), _keywords(fields), close)


def _fields(path: Path, number: int, table: Any, cube: Any, size: int) -> list[Field]:
    place = {
        "place": f"HDU {number} ({table.name})" if table.name else f"HDU {number}",
        "place_names": (table.name, str(number)) if table.name else (str(number),),
    }
    if isinstance(table, fits.BinTableHDU) and not isinstance(table, fits.CompImageHDU):
        info = table.fileinfo()
        if info["datLoc"] + table.header["NAXIS1"] * table.header["NAXIS2"] > size:
            raise ValueError(f"the table in HDU {number} is cut off")
        return [_column(path, table, at, place) for at in range(len(table.columns))]
    if isinstance(table, (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)):
        return [_cube(cube, place)] if len(cube.shape) == CUBE_AXES else []
    return []


def _column(path: Path, hdu: Any, at: int, place: dict[str, Any]) -> Field:
    column = hdu.columns[at]
    rows = int(hdu.header["NAXIS2"])
    first = hdu.data[: min(rows, 1)].field(at)
    varying = first.dtype.kind == "O"
    sample = np.asarray(first[0]) if varying and rows else np.asarray(first)
    shape = tuple(sample.shape if varying else sample.shape[1:])
    del first, hdu.data
    return Field(
        name=column.name,
        rows=rows,
        dtype=str(sample.dtype.newbyteorder("=")),
        kind=sample.dtype.kind,
        row_shape=shape,
        read=_reader(hdu, at, column, shape if varying else None),
        unit=str(column.unit or "").strip(),
        **place,
    )


def _reader(
    hdu: Any, at: int, column: Any, varying: tuple[int, ...] | None
) -> Callable[[int, int], Values]:
    """Reads rows of a column; `varying` is the shape of the first row where rows have their own."""

    def read(start: int, stop: int) -> Values:
        records = hdu.data[start:stop]
        data = records.field(at)
        if varying is not None:
            values = Values(stacked([np.array(row) for row in data], column.name, start, varying))
        else:
            # A copy in native order: nothing may hold on to the map.
            native = np.array(data, dtype=data.dtype.newbyteorder("="), subok=False)
            values = _without_nulls(native, records, at, column.null)
        del records, data
        del hdu.data
        return values

    return read


def _without_nulls(data: Array, records: Any, at: int, null: int | None) -> Values:
    """TNULL is in the numbers as stored, before they are scaled."""
    if data.dtype.kind == "S":
        texts = np.strings.rstrip(data, b" \0")
        return Values(texts, texts == b"")
    if null is None:
        return Values(data)
    stored = np.asarray(records)[records.dtype.names[at]].reshape(data.shape)
    return Values(data, stored == null) if stored.dtype.kind in "iu" else Values(data)


def _cube(hdu: Any, place: dict[str, Any]) -> Field:
    shape = tuple(int(n) for n in hdu.shape)
    dtype = hdu.section[0:1].dtype.newbyteorder("=") if shape[0] else np.dtype("f4")
    return Field(
        name=hdu.name or place["place"],
        rows=shape[0],
        dtype=str(dtype),
        kind=dtype.kind,
        row_shape=shape[1:],
        read=lambda a, b: Values(np.asarray(hdu.section[a:b])),
        unit=str(hdu.header.get("BUNIT") or "").strip(),
        cube=True,
        **place,
    )


def _keywords(fields: list[Field]) -> dict[str, str]:
    places = dict.fromkeys(f.place for f in fields)
    return {"HDUs": ", ".join(places)}
