"""A data set's folder in a bucket, and the model beside it: filled, never written over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Self

from cosmic.contracts.bands import Bands
from cosmic.contracts.location import Location
from cosmic.data.dataset_index import INDEX_NAME, IndexWriter
from cosmic.data.formats import FORMATS
from cosmic.errors import InputError
from cosmic.model.checkpoint import load_checkpoint
from cosmic.storage.objects import Store
from cosmic.workstation.sources import S3
from cosmic.workstation.step import Step

AT_ONCE = 4
LOOKS_AT_ONCE = 16
SHA256, SOURCE = "cosmic-sha256", "cosmic-source"  # metadata of what is uploaded


@dataclass(frozen=True)
class DataFolder:
    """The folder `data/NAME/` of a bucket.

    Each object carries its checksum and that of the call that it comes from, so that a call which
    was stopped knows its own objects again.

    Attributes:
        document: What is put there, as JSON.
        progress: Called again and again while files are uploaded.
    """

    store: Store
    bucket: str
    name: str
    document: Mapping[str, Any]
    progress: Callable[[Step], None]

    @property
    def uri(self) -> str:
        """The folder's URI."""
        return self._at("").uri

    def check_ours(self) -> None:
        """Refuse a folder in which something else lies.

        Raises:
            InputError: there are objects of another call, or S3 refuses to say.
            TransientError: S3 failed.
        """
        there = [Location(self.bucket, found.key) for found in self.store.list(self._at(""))]
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            sources = pool.map(lambda at: self.store.metadata(at).get(SOURCE), there)
            others = [at for at, of in zip(there, sources, strict=True) if of != self._source]
        if others:
            message = (
                f"{self.uri} holds a different data set: {others[0].key} ({len(others):,} in all)"
            )
            raise InputError(message, code="not-empty", hint="give another --name")

    def upload(self, files: Sequence[Path]) -> int:
        """Upload partitions, some at a time, but those that are there with their checksums.

        They are numbered, for a run reads them in the order of their names. An index of native
        partitions follows when all of them are there.

        Returns:
            How many were uploaded.

        Raises:
            InputError: S3 refuses one.
            TransientError: S3 failed; calling again goes on.
        """
        there = {found.key for found in self.store.list(self._at(""))}
        sent = _Sent(sum(file.stat().st_size for file in files), self.progress)
        names = [f"{number}{file.suffix}" for number, file in enumerate(files)]
        indexed = all(file.suffix == FORMATS["safetensors"].suffix for file in files)
        with IndexWriter() as index, ThreadPoolExecutor(AT_ONCE) as pool:
            for file, name in zip(files if indexed else (), names, strict=False):
                index.add(file, name)
            uploaded = sum(pool.map(partial(self._put, there, sent), files, names))
            if indexed:
                self._put_index(index, there)
        return uploaded

    def _put(self, there: Set[str], sent: _Sent, file: Path, name: str) -> bool:
        """Upload a file unless it is there; returns whether it was not."""
        at, sha256 = self._at(name), _sha256(file)
        if at.key in there and self.store.metadata(at).get(SHA256) == sha256:
            sent.add(file.stat().st_size)
            return False
        self.store.upload(file, at, {SHA256: sha256, SOURCE: self._source}, sent.add)
        return True

    def _put_index(self, index: IndexWriter, there: Set[str]) -> None:
        with TemporaryDirectory() as folder:
            self._put(there, _Sent(0, lambda step: None), index.write(Path(folder)), INDEX_NAME)

    @property
    def _source(self) -> str:
        text = json.dumps(self.document, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _at(self, name: str) -> Location:
        return Location(self.bucket, f"data/{self.name}/{name}")


class _Sent:
    """Adds up bytes that several threads send."""

    def __init__(self, of: int, progress: Callable[[Step], None]) -> None:
        self._done, self._of, self._progress = 0, of, progress
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count bytes."""
        with self._lock:
            self._done += count
            self._progress(Step("uploading", self._done, self._of))


@dataclass(frozen=True)
class ModelToPut:
    """A checkpoint in a bucket, or on its way there.

    Attributes:
        at: Where it lies, under its checksum; None: it is there by its URI already.
        path: Its file.
        bands: That it takes; None: it is not looked at here.
    """

    uri: str
    sha256: str = ""
    at: Location | None = None
    path: Path = Path()
    bands: Bands | None = None

    @classmethod
    def of(cls, model: Path | str, bucket: str) -> Self:
        """The checkpoint of a file or a URI.

        Raises:
            InputError: the file is no checkpoint.
        """
        if str(model).startswith(S3):
            return cls(str(model))
        path = Path(model)
        checkpoint = load_checkpoint(path)
        at = Location(bucket, f"models/{checkpoint.sha256[:12]}/{path.name}")
        return cls(at.uri, checkpoint.sha256, at, path, checkpoint.bands)

    def upload(self, store: Store) -> None:
        """Upload the file, unless it is there."""
        if self.at is not None and self.at.key not in store.keys_beginning(self.at, 1):
            store.upload(self.path, self.at, {SHA256: self.sha256})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
