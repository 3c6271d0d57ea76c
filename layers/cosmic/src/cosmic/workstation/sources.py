"""What is predicted: files here and in S3, and how to tell later whether they are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cosmic.contracts.location import Location, parse_uri
from cosmic.contracts.numbered_sets import natural_order
from cosmic.data.pack.opening import READERS, files_of, ignored_in, is_read, suffix_of
from cosmic.errors import InputError, InvalidInput, Problem
from cosmic.storage.listing import agreed_listing

if TYPE_CHECKING:
    from cosmic.storage.objects import Store

S3 = "s3://"
AT_ONCE = 4


@dataclass(frozen=True)
class InputFile:
    """A file, or a folder that is read as one.

    Attributes:
        name: Its absolute path or its URI.
        bytes: Its size.
        tag: Changes with its content: its time of change, or its ETag.
        at: Where it lies in S3; None: it is a file of this machine.
    """

    name: str
    bytes: int
    tag: str
    at: Location | None = None

    def path(self, downloads: Path, index: int) -> Path:
        """Where it lies on this machine, once it is there."""
        if self.at is None:
            return Path(self.name)
        return downloads / str(index) / PurePosixPath(self.at.key).name

    def as_dict(self) -> dict[str, str | int]:
        """As JSON."""
        return {"name": self.name, "bytes": self.bytes, "tag": self.tag}


@dataclass(frozen=True)
class InputFiles:
    """All that is read, in order, and the files in folders that are not."""

    files: tuple[InputFile, ...]
    ignored: tuple[Path, ...]


def find_files(inputs: Sequence[Path | str], store: Callable[[], Store]) -> InputFiles:
    """The files that paths and URIs name; of folders all that a reader knows, in natural order.

    Args:
        inputs: Files and folders of this machine, objects and folders in S3.
        store: What opens S3; it is called if it is needed.

    Raises:
        InvalidInput: several are not there, are of no known format, or hold nothing to read.
        InputError: one is.
        TransientError: S3 failed.
    """
    here = [Path(given) for given in inputs if not str(given).startswith(S3)]
    files: list[InputFile] = []
    refused: list[tuple[str, InputError]] = []
    for given in inputs:
        try:
            files += _named(given, store)
        except InputError as error:
            refused.append((str(given), error))
    if len(refused) == 1:
        raise refused[0][1]
    if refused:
        raise InvalidInput([Problem(n, e.message, None, e.hint, e.code) for n, e in refused])
    return InputFiles(tuple(files), tuple(ignored_in(here)))


def _named(given: Path | str, store: Callable[[], Store]) -> list[InputFile]:
    """What one path or URI names."""
    if str(given).startswith(S3):
        return list(_in_s3(str(given), store()))
    return [file_here(path) for path in files_of([Path(given)])]


def file_here(path: Path) -> InputFile:
    """A file or a folder of this machine.

    Raises:
        InputError: it is not there.
    """
    try:
        found = [(p, p.stat()) for p in _within(path)]
    except FileNotFoundError as error:
        hint = "check its name and folder"
        raise InputError(f"{path} does not exist", code="not-found", hint=hint) from error
    size = sum(stat.st_size for _, stat in found)
    seen = "".join(f"{p.name}\0{s.st_size}\0{s.st_mtime_ns}\n" for p, s in found)
    return InputFile(str(path.absolute()), size, hashlib.sha256(seen.encode()).hexdigest()[:16])


def _within(path: Path) -> Sequence[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _in_s3(uri: str, store: Store) -> Iterator[InputFile]:
    try:
        at = parse_uri(uri)
    except ValueError as error:
        hint = "an object or a folder, such as s3://bucket/data/objects.fits"
        raise InputError(str(error), code="bad-uri", hint=hint) from error
    if suffix_of(PurePosixPath(at.key)) and not at.key.endswith("/"):
        found = store.head(at)
        yield InputFile(at.uri, found.bytes, found.etag, at)
        return
    objects = agreed_listing(store, at)
    keys = natural_order(key for key in objects if is_read(key))
    if not keys:
        hint = f"objects whose names end in {', '.join(READERS)}"
        raise InputError(f"nothing to read in {uri}", code="not-found", hint=hint)
    for key in keys:
        place = Location(at.bucket, key)
        yield InputFile(place.uri, objects[key].bytes, objects[key].etag, place)


def download(
    files: Sequence[InputFile],
    downloads: Path,
    store: Callable[[], Store],
    progress: Callable[[int, int], None],
) -> list[Path]:
    """Copy what lies in S3 to this machine, some at a time; what is there already stays.

    Args:
        downloads: Folder for the copies.
        store: What opens S3; it is called if it is needed.
        progress: Called with the bytes that are here, and those of all.

    Returns:
        Where each file lies, in order.

    Raises:
        InputError: S3 refuses one.
        TransientError: S3 failed; calling again goes on.
    """
    paths = [file.path(downloads, index) for index, file in enumerate(files)]
    remote = [(f, p) for f, p in zip(files, paths, strict=True) if f.at is not None]
    total, done = sum(f.bytes for f, _ in remote), 0
    if not remote:
        return paths
    source = store()

    def fetch(pair: tuple[InputFile, Path]) -> int:
        file, path = pair
        if file.at is not None and not path.is_file():
            _fetch(source, file, file.at, path)
        return file.bytes

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for size in pool.map(fetch, remote):
            done += size
            progress(done, total)
    return paths


def _fetch(source: Store, file: InputFile, at: Location, path: Path) -> None:
    """One object, if it is still the one that was listed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source.download(at, path)
    if source.head(at).etag != file.tag:
        path.unlink()
        hint = "wait until nothing writes there any more"
        raise InputError(f"{at.uri} changed while it was being read", code="changed", hint=hint)
