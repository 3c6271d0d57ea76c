"""Where a prediction keeps what it needs until its catalogue is there: one folder in `--out`."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic.contracts.layout import RESULTS, RunFolder
from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.storage.local_store import LocalStore
from cosmic.storage.run_store import RunStore
from cosmic.workstation.plan_here import HERE, uri_here

NAME = ".cosmic-predict"


@dataclass(frozen=True)
class WorkFolder:
    """The folder of one prediction.

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
        """What is predicted, by what and how, as it was when this began; None: nothing has begun.

        Raises:
            InputError: it can't be read.
        """
        path = self.root / "job.json"
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            hint = "begin anew with --restart"
            raise InputError(f"{path} is damaged", code="damaged", hint=hint) from error
        return found

    def begin(self, job: dict[str, Any]) -> None:
        """Note what is predicted."""
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
        ready = self.planned or any(self.downloads.glob("*/*"))
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
def work_folder(out: Path, *, restart: bool = False) -> Iterator[WorkFolder]:
    """The working folder in `out`, which nobody else uses as long as the block lasts.

    After an error it stays if it is worth it; else nothing that was made stays.

    Args:
        out: Folder of the results; made if it isn't there.
        restart: Whether an earlier prediction's folder and results are dropped.

    Raises:
        InputError: `out` is a file, holds results already, or another process is at work there.
    """
    work = WorkFolder(out / NAME)
    _check_out(out, work, restart=restart)
    made = [p for p in (work.root, *work.root.parents) if not p.exists()]
    work.root.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(work.root):
            if restart:
                work.clear()
            yield work
    except BaseException as error:
        if not isinstance(error, InUse) and not work.worth_keeping(error):
            shutil.rmtree(work.root)
            for folder in made[1:]:
                folder.rmdir()
        raise
    shutil.rmtree(work.root)


def _check_out(out: Path, work: WorkFolder, *, restart: bool) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file", code="not-a-folder", hint="give another --out")
    there = sorted(name for name in RESULTS if (out / name).exists())
    if there and not restart and not work.root.exists():
        hint = "give another --out, or --restart to replace it"
        raise InputError(f"{out} holds {', '.join(there)} already", code="not-empty", hint=hint)


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
        hint = "wait for it, or give another --out"
        raise InUse(f"another process is predicting into {root.parent}", hint=hint) from error
    finally:
        os.close(handle)
