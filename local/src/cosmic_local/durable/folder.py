"""The folder that holds what outlives a stack: one stack at a time, one file a thing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from cosmic_local.errors import DataError, Stopping

FORMAT = 1
MARK, LOCK, DRAFTS = "format.json", "lock", "drafts"
STRIPES = 64

Content = Callable[[], Iterable[bytes] | None]


class DataFolder:
    """Named things of some kinds, each in a file that appears whole or not at all.

    The name of a file is a hash: what things are called never becomes part of a path. Files are
    not forced to the disk: they survive the end of any process, not that of the machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stripes = [threading.Lock() for _ in range(STRIPES)]
        self._closed = False

    def keep(self, kind: str, name: str, content: Content) -> None:
        """Write a thing as it is now, or remove it where `content` gives None.

        What is written last of two that come at once is what was true last: `content` is asked
        when it is this call's turn.

        Raises:
            Stopping: the folder is closed.
            DataError: it can't be written.
        """
        path = self._path(kind, name)
        with self._stripes[int(path.name[:8], 16) % STRIPES]:
            if self._closed:
                raise Stopping("the stack is being stopped")
            try:
                self._write(path, content())
            except OSError as error:
                message = f"{self.folder} can't be written: {error.strerror}"
                raise DataError(message, hint="free some space, then repeat it") from error

    def files(self, kind: str) -> Iterator[Path]:
        """The files of a kind, in no order."""
        yield from (self.folder / kind).glob("??/*")

    def close(self) -> None:
        """Let what is being written be finished, and refuse all that comes later."""
        with contextlib.ExitStack() as stack:
            for stripe in self._stripes:
                stack.enter_context(stripe)
            self._closed = True

    def _path(self, kind: str, name: str) -> Path:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / kind / digest[:2] / digest

    def _write(self, path: Path, blocks: Iterable[bytes] | None) -> None:
        if blocks is None:
            path.unlink(missing_ok=True)
            return
        draft = self.folder / DRAFTS / uuid.uuid4().hex
        try:
            with draft.open("wb") as stream:
                stream.writelines(blocks)
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(folder: Path, belongs: dict[str, str]) -> Iterator[DataFolder]:
    """A folder for one stack's data, made if need be, locked until the block ends.

    Args:
        folder: Where.
        belongs: What the names of all that is in it depend on: the stack's name, its region, …

    Raises:
        DataError: another stack uses it; it holds something else, or what another version of
            Cosmic or another stack wrote; or it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder)
        stream = (folder / LOCK).open("a")
    except OSError as error:
        raise DataError(f"{folder} can't be used: {error.strerror}") from error
    with stream:
        _lock(stream, folder)
        shutil.rmtree(folder / DRAFTS, ignore_errors=True)
        (folder / DRAFTS).mkdir()
        _check_mark(folder, belongs)
        data = DataFolder(folder)
        try:
            yield data
        finally:
            data.close()


def _refuse_foreign(folder: Path) -> None:
    found = {path.name for path in folder.iterdir()}
    if MARK not in found and found - {LOCK, DRAFTS}:
        message = f"{folder} holds something other than a local stack's data"
        raise DataError(message, hint="give an empty folder, or one that does not exist yet")


def _lock(stream: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"another stack uses the data in {folder}"
        raise DataError(message, hint="stop that one, or give another folder") from error


def _check_mark(folder: Path, belongs: dict[str, str]) -> None:
    mark = folder / MARK
    wanted = {"format": FORMAT, **belongs}
    if not mark.exists():
        draft = folder / DRAFTS / MARK
        draft.write_text(json.dumps(wanted), encoding="utf-8")
        draft.replace(mark)
        return
    try:
        found: Any = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{mark} is damaged: {error}", hint="give another folder") from error
    if found == wanted:
        return
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        message = f"the data in {folder} were written by another version of Cosmic"
        raise DataError(message, hint="use that version, or give another folder")
    other = [f"{name} {found.get(name)!r}, not {value!r}" for name, value in belongs.items()]
    raise DataError(
        f"the data in {folder} belong to another stack: {', '.join(other)}",
        hint="start that stack, or give another folder",
    )
