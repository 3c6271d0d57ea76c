"""Which reader opens which file, and what a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cosmic.contracts.plan import natural_order
from cosmic.data.pack.arrays import open_npy, open_npy_folder, open_npz
from cosmic.data.pack.hdf5 import open_hdf5
from cosmic.data.pack.parquet import open_parquet
from cosmic.data.pack.partitions import open_partition
from cosmic.data.pack.source import Source
from cosmic.errors import InputError


def open_fits(path: Path) -> Source:
    """See `cosmic.data.pack.fits`; astropy is imported for FITS files alone."""
    from cosmic.data.pack.fits import open_fits as open_by_astropy

    return open_by_astropy(path)


READERS: dict[str, Callable[[Path], Source]] = {
    ".safetensors": partial(open_partition, layout="safetensors"),
    ".pt": partial(open_partition, layout="pt"),
    ".npz": open_npz,
    ".npy": open_npy,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".fits": open_fits,
    ".fit": open_fits,
    ".parquet": open_parquet,
}


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that paths name, a folder's in natural order; see `ignored_in` for the others.

    Raises:
        InputError: a path is not there, no reader knows it, or a folder holds nothing to read.
    """
    return [file for path in paths for file in _expanded(path)]


def ignored_in(paths: Sequence[Path]) -> list[Path]:
    """Files in the folders among `paths` that are not read: hidden ones, and of other formats."""
    folders = [path for path in paths if path.is_dir()]
    return sorted(p for path in folders for p in path.iterdir() if p.is_file() and not _is_read(p))


def _is_read(path: Path) -> bool:
    """Names that begin with a dot are macOS's and editors' own."""
    return path.suffix.lower() in READERS and not path.name.startswith(".")


def _expanded(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() not in READERS:
            hint = f"files whose names end in {', '.join(READERS)}"
            raise InputError(f"{path} is of no known format", code="bad-format", hint=hint)
        return [path]
    if not path.is_dir():
        hint = "check its name and folder"
        raise InputError(f"{path} is not there", code="not-found", hint=hint)
    found = [p for p in path.iterdir() if p.is_file() and _is_read(p)]
    if found and all(p.suffix.lower() == ".npy" for p in found):
        return [path]
    if not found:
        hint = f"files whose names end in {', '.join(READERS)}"
        raise InputError(f"nothing to read in {path}", code="not-found", hint=hint)
    return [Path(name) for name in natural_order(str(p) for p in found)]


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """A file for as long as the block lasts.

    Raises:
        InputError: it is not what its name says.
    """
    source = open_npy_folder(path) if path.is_dir() else READERS[path.suffix.lower()](path)
    try:
        yield source
    finally:
        source.close()
