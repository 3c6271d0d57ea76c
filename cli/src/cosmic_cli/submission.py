"""Drop a manifest, and follow the run that it starts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cosmic.errors import InputError, TransientError
from cosmic.manifest import MANIFEST_PREFIX, parse_manifest
from cosmic.runs import RunFolder, run_id
from cosmic.status import Status, parse_status
from cosmic.store import Location, Store
from cosmic_cli.target import Target


@dataclass(frozen=True)
class Snapshot:
    """A run as seen from outside.

    Attributes:
        status: Its status; None before `init` has written one.
        ranks_done: Ranks whose record is there.
    """

    status: Status | None
    ranks_done: int


def submit(target: Target, manifest: Path) -> RunFolder:
    """Check a manifest here, put it into the bucket, and say which run that starts.

    Raises:
        InvalidInput: everything that is wrong with it.
        InputError: it can't be read, or the bucket can't be written.
    """
    try:
        text = manifest.read_bytes()
    except OSError as error:
        raise InputError(f"{manifest}: {error.strerror}", code="not-found") from error
    parsed = parse_manifest(text)
    at = Location(target.bucket, f"{MANIFEST_PREFIX}{manifest.stem}.json")
    version = target.store().put_version(at, text)
    run = run_id(parsed.job, at.bucket, at.key, version)
    return RunFolder(target.bucket, parsed.output.prefix, run)


def look(store: Store, folder: RunFolder) -> Snapshot:
    """How far a run has come.

    Raises:
        TransientError: its status can't be read yet.
    """
    try:
        status = parse_status(store.get(folder.status))
    except InputError as error:
        if error.code != "not-found":
            raise
        return Snapshot(None, 0)
    except ValidationError as error:
        raise TransientError(f"{folder.status.uri}: {error}") from error
    records = sum("/rank-" in o.key for o in store.list(folder.at("records/")))
    return Snapshot(status, records)


def follow(
    target: Target, folder: RunFolder, *, start_timeout_s: float = 120.0
) -> Iterator[Snapshot]:
    """Look at a run again and again until it has ended.

    Raises:
        TransientError: `init` has not answered in time.
    """
    store = target.store()
    give_up = time.monotonic() + start_timeout_s
    while True:
        snapshot = look(store, folder)
        yield snapshot
        if snapshot.status and snapshot.status.state.final:
            return
        if snapshot.status is None and time.monotonic() > give_up:
            message = f"{folder.run} has no status after {start_timeout_s:g} s"
            raise TransientError(message, hint="look at the init function's log")
        time.sleep(target.poll_s)
