"""NumPy's files: `.npz`, a structured `.npy`, a folder of `.npy` files; never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from cosmic.data.pack.source import Array, Source, from_arrays, unreadable


def open_npz(path: Path) -> Source:
    """An archive of arrays; all of them are read into memory.

    Raises:
        InputError: it is not one, or holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise unreadable(path, error) from error
    return from_arrays(path, "npz", arrays)


def open_npy(path: Path) -> Source:
    """An array of records, mapped.

    Raises:
        InputError: it is not one.
    """
    array = _mapped(path)
    if array.dtype.names is None:
        columns = "image.npy, mag.npy and so on"
        raise unreadable(path, f"one plain array has no columns; put {columns} into a folder")
    return from_arrays(path, "npy", {name: array[name] for name in array.dtype.names})


def open_npy_folder(path: Path) -> Source:
    """A folder with one array a column, mapped.

    Raises:
        InputError: a file in it is no array.
    """
    arrays = {file.stem: _mapped(file) for file in sorted(path.glob("*.npy"))}
    return from_arrays(path, "npy folder", arrays)


def _mapped(path: Path) -> Array:
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, error) from error
    return array
