"""Where a call keeps what it needs until its results are there: one folder, in which it goes on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.storage.local_store import LocalStore
from cosmic.storage.run_store import RunStore
from cosmic.workstation.job import as_json, refuse_changed
from cosmic.workstation.plan_here import HERE, uri_here


@dataclass(frozen=True)
class WorkFolder:
    """The folder of one call.

    Nothing in it is a result. It is gone when the results are there, and as long as it is there the
    same call goes on where it was stopped.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def partitions(self) -> Path:
        """What was packed: it appears when it is whole."""
        return self.root / "partitions"

    @property
    def downloads(self) -> Path:
        """What was copied from S3."""
        return self.root / "input"

    def job(self) -> dict[str, Any] | None:
        """What is done with what, as it was when this began; None: nothing has begun.

        Raises:
            InputError: it can't be read.
        """
        path = self.root / "job.json"
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            hint = "start over with --restart"
            raise InputError(f"{path} is damaged", code="damaged", hint=hint) from error
        return found

    def begin(self, job: dict[str, Any]) -> None:
        """Note what is done with what."""
        LocalStore({HERE: self.root}).put_json(Location(HERE, "job.json"), job)

    def run(self, name: str) -> RunStore:
        """The run of this name: its plan, shards and records."""
        prefix = uri_here(self.root / "run").removeprefix(f"s3://{HERE}/") + "/"
        return RunStore(LocalStore({HERE: Path("/")}), RunFolder(HERE, prefix, name))

    @property
    def planned(self) -> bool:
        """Whether all input is ready and shared out into shards."""
        return any(self.root.glob("run/*/plan.json"))

    def worth_keeping(self, error: BaseException) -> bool:
        """Whether what was done until an error is more than what the same call would do again.

        After an error that the input causes, only predictions are: all else would fail again.
        """
        predicted = any(self.root.glob("run/*/records/*.json"))
        ready = self.planned or self.partitions.exists() or any(self.downloads.glob("*/*"))
        return predicted or (ready and not isinstance(error, InputError))

    def clear(self, keep: Sequence[Path] = ()) -> None:
        """Remove all that is in it but these."""
        for path in self.root.iterdir():
            if path.name == "lock" or path in keep:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextmanager
def work_folder(root: Path, *, restart: bool = False) -> Iterator[WorkFolder]:
    """A working folder that nobody else uses as long as the block lasts.

    After an error it stays if it is worth it; else nothing that was made stays.

    Args:
        root: The folder; made if it does not exist.
        restart: Whether what is in it is dropped.

    Raises:
        InputError: a file is in its way, or another process is at work there.
    """
    work = WorkFolder(root)
    made = [p for p in (root, *root.parents) if not p.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        hint = "give another folder"
        raise InputError(f"{root.parent} is a file", code="not-a-folder", hint=hint) from error
    try:
        with _locked(root):
            if restart:
                work.clear()
            yield work
    except BaseException as error:
        if not isinstance(error, InUse) and not work.worth_keeping(error):
            _remove(root, made)
        raise
    _remove(root, [])


def _remove(root: Path, made: Sequence[Path]) -> None:
    """Remove the folder, and those above that were made for it."""
    shutil.rmtree(root)
    with contextlib.suppress(OSError):  # somebody else has put something into one of them
        for folder in made[1:]:
            folder.rmdir()


def begun(work: WorkFolder, document: Mapping[str, Any]) -> float:
    """When a call began, seconds since 1970; notes it if it begins now.

    What it left that isn't whole is dropped, but for copies of the same input.

    Args:
        document: What is done with what.

    Raises:
        InvalidInput: that call was another one.
    """
    before = work.job() or {}
    if work.planned or work.partitions.is_dir():
        refuse_changed(before["job"], document)
        return float(before["began_at_s"])
    same = before.get("job") == as_json(document)
    work.clear(keep=[work.downloads] if same else [])
    now_s = time.time()
    work.begin({"job": document, "began_at_s": now_s})
    return now_s


class InUse(InputError):  # noqa: N818
    """Another process is at work in the folder."""

    code = "in-use"


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Keep others out; the kernel lets go of it however this process ends."""
    handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        hint = "wait for it, or give another folder"
        raise InUse(f"another process is working in {root.parent}", hint=hint) from error
    finally:
        os.close(handle)
