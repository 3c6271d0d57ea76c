"""FITS, read by astropy: binary tables, and image cubes of all objects beside one."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import warnings
import zlib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.utils.exceptions import AstropyUserWarning

from cosmic.data.pack.bands import with_bands
from cosmic.data.pack.source import Array, Field, Source, Values, keyed, stacked, unreadable
from cosmic.data.page_memory import new_pages, page_memory
from cosmic.errors import InputError

CUBES = (3, 4)  # numbers of axes: one band of all objects, or all bands
COPIED_AT_ONCE = 1 << 20
SCALED_VARYING = (
    "is of integers of varying length with TSCAL, TZERO or TNULL, which is not supported"
)
UNSCALED = "write it as floating-point numbers, or as a column of fixed length"
VARYING_TEXT = re.compile("[0-9]*[PQ]A")
WHOLE_NUMBERS = {"B": None, "I": 1 << 15, "J": 1 << 31, "K": 1 << 63}  # by TZERO of unsigned ones
NUMBERS = "iuf"
MOST_SHIFT = 1 << 53
OPTIONS = {"character_as_bytes": True, "lazy_load_hdus": False}


def open_gzipped_fits(path: Path) -> Source:
    """A FITS file that is compressed as a whole; it is uncompressed into a temporary file.

    Raises:
        InputError: it is no whole one.
    """
    with ExitStack() as stack:
        whole = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".fits"))
        try:
            with gzip.open(path) as file:
                shutil.copyfileobj(file, whole, COPIED_AT_ONCE)
            whole.flush()
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(path, error) from error
        source = open_fits(Path(whole.name), named=path)
        stack.callback(source.close)
        return replace(source, close=stack.pop_all().close)


def open_fits(path: Path, named: Path | None = None) -> Source:
    """All tables, and as cubes all images of four axes (N, band, H, W) or three (N, H, W).

    Args:
        path: The file.
        named: What it is called in messages, if not by its path.

    TSCAL, TZERO, BSCALE and BZERO are applied, TNULL and BLANK are missing values.

    Raises:
        InputError: it is no whole FITS file, or has neither.
    """
    size, said = path.stat().st_size, named or path
    with ExitStack() as stack:
        try:
            with warnings.catch_warnings():
                # Of headers that are not quite to the standard; of files that are cut off, which
                # is checked below.
                warnings.simplefilter("ignore", AstropyUserWarning)
                # A map stays in memory as far as it is read, so only heaps are read by one.
                tables = stack.enter_context(fits.open(path, memmap=True, **OPTIONS))
                cubes = stack.enter_context(fits.open(path, memmap=False, **OPTIONS))
                fields = [
                    field
                    for number, (table, cube) in enumerate(zip(tables, cubes, strict=True))
                    for field in _fields(path, number, table, cube, size)
                ]
                fields = with_bands(fields, tables[0].header)  # that of the whole file
        except InputError as error:
            raise InputError(
                f"{said}: {error.message}", code=error.code, hint=error.hint
            ) from error
        except (OSError, ValueError, TypeError, KeyError, VerifyError) as error:
            raise unreadable(said, error) from error
        if not fields:
            raise unreadable(said, "it has no binary table")
        return Source(said, "fits", keyed(fields), _keywords(fields), stack.pop_all().close)


def _fields(path: Path, number: int, table: Any, cube: Any, size: int) -> list[Field]:
    place = {
        "place": f"HDU {number} ({table.name})" if table.name else f"HDU {number}",
        "place_names": (table.name, str(number)) if table.name else (str(number),),
    }
    if isinstance(table, fits.BinTableHDU) and not isinstance(table, fits.CompImageHDU):
        if table.header.get("ZTABLE"):
            raise InputError(
                f"the table in HDU {number} is compressed (ZTABLE), which is not read",
                code="bad-partition",
                hint="uncompress it with `funpack`",
            )
        info = table.fileinfo()
        if info["datLoc"] + table.header["NAXIS1"] * table.header["NAXIS2"] > size:
            raise ValueError(f"the table in HDU {number} is cut off")
        return with_bands(_columns(path, table, place), table.header)
    if isinstance(table, (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)):
        return with_bands([_cube(cube, place)], cube.header) if len(cube.shape) in CUBES else []
    if isinstance(table, fits.TableHDU):
        columns = [_text_column(table, at, place) for at in range(len(table.columns))]
        return with_bands(columns, table.header)
    return []


def _text_column(hdu: Any, at: int, place: dict[str, Any]) -> Field:
    """A column of a table of text, which is read as a whole."""
    column = hdu.columns[at]
    dtype = np.asarray(hdu.data.field(at)).dtype
    nulls = [b""] if dtype.kind == "S" else []
    nulls += [] if column.null is None else [str(column.null).strip().encode()]  # its very text

    def read(start: int, stop: int) -> Values:
        texts = np.strings.strip(np.asarray(hdu.data)[column.name][start:stop])
        data = np.asarray(hdu.data.field(at))[start:stop]
        return Values(data, np.isin(texts, nulls) if nulls else None)

    return Field(
        name=column.name,
        rows=len(hdu.data),
        dtype="text" if dtype.kind == "S" else str(dtype),
        kind=dtype.kind,
        row_shape=(),
        read=read,
        unit=str(column.unit or "").strip(),
        **place,
    )


class _Table:
    """Reads rows of a table as astropy would read a table of these rows alone; keeps the last.

    Attributes:
        rows: How many it has.

    The map that astropy offers of a whole table stays in memory as far as it was read. A table
    whose rows refer to a heap is read by it all the same.
    """

    def __init__(self, path: Path, hdu: Any) -> None:
        self._path, self._hdu = path, hdu
        self._at = hdu.fileinfo()["datLoc"]
        self._row_bytes = hdu.header["NAXIS1"]
        self.rows = int(hdu.header["NAXIS2"])
        self._piece: tuple[int, int] | None = None
        self._data: Any = None
        self._records: Any = None
        self._dtype: np.dtype[Any] | None = None

    def records(self, start: int, stop: int) -> Any:
        """Rows from the first number up to and without the second."""
        if self._hdu.header["PCOUNT"]:
            return self._hdu.data[start:stop]
        self._read(start, stop)
        if self._records is None:
            self._records = self._parsed(stop - start)
        return self._records

    def stored(self, at: int, start: int, stop: int) -> Array:
        """A column's numbers as they are stored, without having astropy parse a header again."""
        if self._hdu.header["PCOUNT"]:
            return _stored(self.records(start, stop), at)
        if self._dtype is None:
            self._dtype = np.asarray(self.records(0, min(self.rows, 1))).dtype
        self._read(start, stop)
        names = self._dtype.names or ()
        rows = np.frombuffer(self._data, self._dtype, stop - start)
        return rows[names[at]]

    def _read(self, start: int, stop: int) -> None:
        if self._piece == (start, stop):
            return
        self._piece = self._records = self._data = None  # before there is memory for the next
        data = page_memory((stop - start) * self._row_bytes)
        with self._path.open("rb") as file:
            file.seek(self._at + start * self._row_bytes)
            if file.readinto(data) < len(data):
                raise ValueError(f"it ends before row {stop}")
        self._piece, self._data = (start, stop), data

    def _parsed(self, rows: int) -> Any:
        header = self._hdu.header.copy()
        header["NAXIS2"] = rows
        text = header.tostring().encode("ascii")
        file = new_pages(len(text) + len(self._data))  # astropy finds no header in a memoryview
        file[: len(text)], file[len(text) :] = text, self._data
        whole = fits.BinTableHDU.fromstring(file, uint=True, character_as_bytes=True)
        return whole.data


def _columns(path: Path, hdu: Any, place: dict[str, Any]) -> list[Field]:
    table = _Table(path, hdu)
    return [_column(table, hdu, at, place) for at in range(len(hdu.columns))]


def _column(table: _Table, hdu: Any, at: int, place: dict[str, Any]) -> Field:
    column = hdu.columns[at]
    rows = table.rows
    first = table.records(0, min(rows, 1)).field(at)
    varying = first.dtype.kind == "O"
    if varying and VARYING_TEXT.match(str(column.format)):
        return _varying_text(table, column, at, place)
    sample = np.asarray(first[0]) if varying and rows else np.asarray(first)
    shape = tuple(sample.shape if varying else sample.shape[1:])
    plain = not _is_scaled(column) and _is_as_stored(sample, table.stored(at, 0, min(rows, 1)))
    dtype = np.dtype(np.int64) if _shift(column) is not None else sample.dtype.newbyteorder("=")

    def read(start: int, stop: int) -> Values:
        if plain:
            return Values(table.stored(at, start, stop))
        records = table.records(start, stop)
        if varying and _is_scaled(column):
            raise InputError(f"{column.name} {SCALED_VARYING}", code="bad-partition", hint=UNSCALED)
        data = records.field(at)
        if varying:
            return Values(stacked([np.array(row) for row in data], column.name, start, shape))
        if (zero := _shift(column)) is not None:
            data = _stored(records, at).reshape(data.shape).astype(np.int64) + zero
        return _without_nulls(np.asarray(data), records, at, column.null)

    return Field(
        name=column.name,
        rows=rows,
        dtype=str(dtype),
        kind=dtype.kind,
        row_shape=shape,
        read=read,
        unit=str(column.unit or "").strip(),
        **place,
    )


def _is_as_stored(numbers: Array, stored: Array) -> bool:
    """Whether what astropy makes of a column's numbers is what is stored, in type and shape."""
    same = numbers.dtype == stored.dtype and numbers.shape == stored.shape
    return same and stored.dtype.kind in NUMBERS


def _shift(column: Any) -> int | None:
    """TZERO of a column of whole numbers that are shifted alone, as signed bytes are: astropy makes
    floats of them; None: it is another column, or an unsigned one, which it reads as such."""
    zero, kind = column.bzero, str(column.format).lstrip("0123456789")
    plain = column.bscale in (None, "", 1) and kind in WHOLE_NUMBERS
    if not plain or zero in (None, "", 0) or zero == WHOLE_NUMBERS[kind]:
        return None
    return int(zero) if float(zero).is_integer() and abs(zero) < MOST_SHIFT else None


def _stored(records: Any, at: int) -> Array:
    """The numbers of a column before they are scaled."""
    return np.asarray(np.asarray(records)[records.dtype.names[at]])


def _varying_text(table: _Table, column: Any, at: int, place: dict[str, Any]) -> Field:
    """Texts of varying length, which astropy gives as arrays of their letters."""

    def read(start: int, stop: int) -> Values:
        rows = table.records(start, stop).field(at)
        texts = [b"".join(np.asarray(row, "S1").tolist()).rstrip(b" \0") for row in rows]
        data = np.array(texts, object)
        return Values(data, data == b"")

    return Field(column.name, table.rows, "text", "S", (), read, **place)


def _is_scaled(column: Any) -> bool:
    """Whether stored integers mean other numbers, which astropy does not give for arrays of
    varying length: it rounds them to integers again."""
    scale, zero = column.bscale, column.bzero
    return column.null is not None or scale not in (None, "", 1) or zero not in (None, "", 0)


def _without_nulls(data: Array, records: Any, at: int, null: int | None) -> Values:
    """TNULL is in the numbers as stored, before they are scaled."""
    if data.dtype.kind == "S":
        texts = np.strings.rstrip(data, b" \0")
        return Values(texts, texts == b"")
    if null is None:
        return Values(data)
    stored = _stored(records, at).reshape(data.shape)
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
