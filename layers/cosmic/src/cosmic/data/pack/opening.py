"""Which reader opens which file, and what a folder holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

from cosmic.contracts.numbered_sets import natural_order
from cosmic.data.pack.arrays import open_npy, open_npy_folder, open_npz
from cosmic.data.pack.source import Field, Source, Values, unreadable
from cosmic.data.pack.tensors import open_safetensors, open_torch
from cosmic.errors import InputError


def open_fits(path: Path) -> Source:
    """See `cosmic.data.pack.fits`; astropy is imported for the files that it reads alone."""
    from cosmic.data.pack import fits

    gzipped = path.suffix.lower() == ".gz"
    return fits.open_gzipped_fits(path) if gzipped else fits.open_fits(path)


def open_hdf5(path: Path) -> Source:
    """See `cosmic.data.pack.hdf5`; h5py is imported for HDF5 files alone."""
    from cosmic.data.pack import hdf5

    return hdf5.open_hdf5(path)


def open_parquet(path: Path) -> Source:
    """See `cosmic.data.pack.parquet`."""
    from cosmic.data.pack import parquet

    return parquet.open_parquet(path)


def open_catalogue(path: Path) -> Source:
    """See `cosmic.data.pack.catalogues`."""
    from cosmic.data.pack import catalogues

    readers = {".csv": catalogues.open_csv, ".ecsv": catalogues.open_ecsv}
    return readers.get(path.suffix.lower(), catalogues.open_votable)(path)


FITS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz")
HDF5 = (".h5", ".hdf5")
CATALOGUES = (".csv", ".ecsv", ".vot", ".votable", ".xml")
READERS: dict[str, Callable[[Path], Source]] = {
    ".safetensors": open_safetensors,
    ".pt": open_torch,
    ".npz": open_npz,
    ".npy": open_npy,
    **dict.fromkeys(HDF5, open_hdf5),
    **dict.fromkeys(FITS, open_fits),
    ".parquet": open_parquet,
    **dict.fromkeys(CATALOGUES, open_catalogue),
}


def suffix_of(path: PurePath) -> str:
    """The end of a file's name that says how it is read; empty if no reader knows it."""
    return next((suffix for suffix in READERS if path.name.lower().endswith(suffix)), "")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that paths name, a folder's in natural order; see `ignored_in` for the others.

    Raises:
        InputError: a path is not there, no reader knows it, or a folder holds nothing to read.
    """
    return [file for path in paths for file in _expanded(path)]


def ignored_in(paths: Sequence[Path]) -> list[Path]:
    """What is not read in the folders among `paths`: files that are hidden or of other formats, and
    folders with data."""
    within = [p for path in paths if path.is_dir() for p in path.iterdir()]
    files = [p for p in within if p.is_file() and not is_read(p)]
    return sorted([*files, *(p for p in within if _holds_data(p))])


def _holds_data(folder: Path) -> bool:
    """Whether a folder, or one within it, has a file that would be read; hidden ones have none."""
    if folder.name.startswith(".") or not folder.is_dir():
        return False
    return any(is_read(name) for _, _, names in os.walk(folder) for name in names)


def is_read(path: PurePath | str) -> bool:
    """Whether a folder's file is data: hidden ones are macOS's and editors' own, tables notes."""
    name = PurePath(path).name
    return suffix_of(PurePath(path)) not in ("", *CATALOGUES) and not name.startswith(".")


def _expanded(path: Path) -> list[Path]:
    if path.is_file():
        if not suffix_of(path):
            hint = f"files whose names end in {', '.join(READERS)}"
            raise InputError(f"{path} has no known format", code="bad-format", hint=hint)
        return [path]
    if not path.is_dir():
        hint = "check its name and folder"
        raise InputError(f"{path} does not exist", code="not-found", hint=hint)
    found = [p for p in path.iterdir() if _is_data(p)]
    if found and all(p.suffix.lower() == ".npy" for p in found):
        return [path]
    if not found:
        below = ", ".join(sorted(f"{p.name}/" for p in path.iterdir() if _holds_data(p)))
        ends = ", ".join(READERS)
        hint = f"give the folders in it: {below}" if below else f"files whose names end in {ends}"
        raise InputError(f"nothing to read in {path}", code="not-found", hint=hint)
    return [Path(name) for name in natural_order(str(p) for p in found)]


def _is_data(path: Path) -> bool:
    """Whether something in a folder is a file that is read.

    Raises:
        InputError: it is a link that leads nowhere, such as to a disk that is not there.
    """
    if not is_read(path):
        return False
    if path.is_symlink() and not path.exists():
        message = f"{path} is a link to {path.readlink()}, which is not there"
        raise InputError(message, code="not-found", hint="mend the link, or remove it")
    return path.is_file()


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """A file for as long as the block lasts.

    Raises:
        InputError: it does not have the format that its name says.
    """
    with _parsed(path):
        source = open_npy_folder(path) if path.is_dir() else READERS[suffix_of(path)](path)
    try:
        fields = {n: replace(f, read=_whole(path, f)) for n, f in source.fields.items()}
        yield replace(source, fields=fields)
    finally:
        source.close()


@contextmanager
def _parsed(path: Path) -> Iterator[None]:
    """Makes whatever a parser raises an error of the file.

    Of damaged headers NumPy makes a SyntaxError, astropy an UnboundLocalError, h5py a
    NotImplementedError: no list of these would be complete.

    Raises:
        InputError: it did.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise unreadable(path, f"{type(error).__name__}: {error}") from error


def _whole(path: Path, each: Field) -> Callable[[int, int], Values]:
    """A field's rows, all that were asked for."""

    def read(start: int, stop: int) -> Values:
        with _parsed(path):
            values = each.read(start, stop)
        if len(values.data) != stop - start:
            said = f"{len(values.data)} rows of {each.name} are there from row {start} on"
            raise unreadable(path, f"{said}, not {stop - start}")
        return values

    return read
