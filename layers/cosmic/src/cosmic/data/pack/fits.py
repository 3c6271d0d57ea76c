"""FITS: a binary table, or an image cube of all objects beside one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fitsio
import numpy as np

from cosmic.data.pack.source import Field, Source, unreadable

CUBE_AXES = 4


def open_fits(path: Path) -> Source:
    """The first binary table; and, as `image`, an image extension (N, band, H, W) if there is one.

    Raises:
        InputError: it is no FITS file, has no table, or cube and table are not equally long.
    """
    try:
        file = fitsio.FITS(str(path))
    except OSError as error:
        raise unreadable(path, error) from error
    tables = [hdu for hdu in file if hdu.get_exttype() == "BINARY_TBL"]
    if not tables:
        file.close()
        raise unreadable(path, "it has no binary table")
    table = tables[0]
    rows, fields = int(table.get_nrows()), _columns(table)
    for hdu in file:
        if hdu.get_exttype() == "IMAGE_HDU" and len(hdu.get_dims()) == CUBE_AXES:
            if hdu.get_dims()[0] != rows:
                raise unreadable(path, f"a cube of {hdu.get_dims()[0]} images, {rows} table rows")
            fields["image"] = _cube(hdu)
    return Source(path, "fits", rows, fields, _keywords(table), file.close)


def _columns(table: Any) -> dict[str, Field]:
    header = table.read_header()
    kind = table.get_rec_dtype()[0]
    found = {}
    for number, name in enumerate(table.get_colnames(), start=1):
        base, shape = kind[name].base, kind[name].shape
        unit = str(header.get(f"TUNIT{number}") or "").strip()
        found[name] = Field(str(base), shape, _reader(table, name), unit)
    return found


def _reader(table: Any, name: str) -> Any:
    return lambda start, stop: np.asarray(table[name][start:stop])


def _cube(hdu: Any) -> Field:
    unit = str(hdu.read_header().get("BUNIT") or "").strip()
    shape = tuple(int(n) for n in hdu.get_dims()[1:])
    kind = str(hdu[0:1, :, :, :].dtype)
    return Field(kind, shape, lambda a, b: np.asarray(hdu[a:b, :, :, :]), unit)


def _keywords(table: Any) -> dict[str, str]:
    name = table.get_extname()
    return {"EXTNAME": name} if name else {}
