"""NumPy's files: `.npz`, a structured `.npy`, a folder of `.npy` files; never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cosmic.data.pack.bands import listed_beside, with_bands
from cosmic.data.pack.source import Array, Field, Source, array_fields, keyed, unreadable

NPY = ".npy"
BROKEN = (OSError, ValueError, EOFError, zipfile.BadZipFile)


def open_npz(path: Path) -> Source:
    """An archive of arrays; one is read into memory when its rows are first asked for.

    Raises:
        InputError: it is not one.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        headers = {name: _header(archive, name) for name in archive.files}
    except BROKEN as error:
        raise unreadable(path, error) from error
    fields = [
        field
        for name, (shape, dtype) in headers.items()
        if shape
        for field in array_fields(name, _Member(path, archive, name), dtype, shape)
    ]
    said = {name: archive[name] for name, (shape, kind) in headers.items() if _is_said(shape, kind)}
    fields = with_bands(listed_beside(fields), said)
    return Source(path, "npz", keyed(fields), said, close=archive.close)


def _is_said(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether it is a single number or text, which says something of the whole file."""
    return not shape and dtype.kind in "iufSU"


def _header(archive: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a member, without its values."""
    member = name if name in archive.zip.namelist() else f"{name}.npy"
    with archive.zip.open(member) as file:
        return _header_of(file)


def _header_of(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    first = np.lib.format.read_array_header_1_0
    read = first if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


class _Member:
    """An array of an archive, read when it is first sliced."""

    def __init__(self, path: Path, archive: Any, name: str) -> None:
        self._path, self._archive, self._name = path, archive, name
        self._array: Array | None = None

    def __getitem__(self, rows: slice) -> Array:
        if self._array is None:
            try:
                self._array = self._archive[self._name]
            except BROKEN as error:
                raise unreadable(self._path, f"{self._name}: {error}") from error
        return self._array[rows]


def open_npy(path: Path) -> Source:
    """An array of records, mapped.

    Raises:
        InputError: it is not one.
    """
    array = _mapped(path)
    if array.dtype.names is None or not array.ndim:
        columns = "image.npy, mag.npy and so on"
        raise unreadable(path, f"one plain array has no columns; put {columns} into a folder")
    return Source(path, "npy", keyed(array_fields(path.stem, array, array.dtype, array.shape)))


def images_of(path: Path) -> Field:
    """An array of images (rows, band, H, W) beside a catalogue, mapped.

    Raises:
        InputError: it is none.
    """
    array = _mapped(path)
    if array.dtype.names is not None or array.ndim < 2:
        raise unreadable(path, "one plain array of images is needed")
    (field,) = array_fields("image", array, array.dtype, array.shape, place=str(path), cube=True)
    return field


def open_npy_folder(path: Path) -> Source:
    """A folder with one array a column, mapped; files whose names begin with a dot are left out.

    Raises:
        InputError: a file in it is no array.
    """
    fields: list[Field] = []
    for file in sorted(p for p in path.glob("*.npy") if not p.name.startswith(".")):
        array = _Mapped(file)
        if array.shape:
            fields += array_fields(file.stem, array, array.dtype, array.shape)
    return Source(path, "npy folder", keyed(listed_beside(fields)))


class _Mapped:
    """An array in a file, mapped when its rows are first asked for: one of Python objects can't be,
    but may be a note that nobody asks for.

    Attributes:
        shape: Of the array.
        dtype: Of its values.

    Args:
        path: The file.

    Raises:
        InputError: it is no array.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array: Array | None = None
        try:
            with path.open("rb") as file:
                self.shape, self.dtype = _header_of(file)
        except BROKEN as error:
            raise unreadable(path, error) from error

    def __getitem__(self, rows: slice) -> Array:
        if self._array is None:
            self._array = _mapped(self._path)
        return self._array[rows]


def _mapped(path: Path) -> Array:
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as error:
        raise unreadable(path, error) from error
    return array
