"""Copy a run's files to this machine: into the folder that the user named, and nowhere else.

Whoever can write to the bucket can write a run's status, so the names in it are not trusted: only
names that a run's files can have are copied, each to its own place.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cosmic.contracts.layout import HATS, RESULTS, RUN_ID, RunFolder
from cosmic.contracts.run_metrics import parse_metrics
from cosmic.contracts.status import Status
from cosmic.errors import InputError
from cosmic.storage.damaged import READ_FILES, parsed
from cosmic.storage.objects import Store

AT_ONCE = 4


def read_metrics(store: Store, folder: RunFolder) -> dict[str, Any]:
    """What `metrics.json` of a run says.

    Raises:
        InputError: it is not there, or damaged.
        TransientError: S3 failed.
    """
    return parsed(parse_metrics, store.get(folder.metrics), folder.metrics, READ_FILES)


def download(store: Store, folder: RunFolder, status: Status, results: Path) -> Path:
    """Copy a run's results, its plan and its status; a HATS collection stays where it is.

    Returns:
        The run's own folder in `results`.
    """
    files = (name for name in status.outputs if name != HATS)
    return fetch(store, folder, (*files, "status.json", "plan.json"), results)


def fetch(store: Store, folder: RunFolder, names: Iterable[str], results: Path) -> Path:
    """Copy some of a run's files; each appears only once it is complete.

    Returns:
        The run's own folder in `results`.

    Raises:
        InputError: a name is not one that a run's files have, or the run's folder can't be made
            in `results`. Nothing has been copied then.
    """
    wanted = tuple(names)
    _check(folder, wanted)
    place = _place(folder, results)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: store.download(folder.at(name), place / name), wanted))
    return place


def _check(folder: RunFolder, names: tuple[str, ...]) -> None:
    if not RUN_ID.fullmatch(folder.run):
        hint = "`cosmic runs` lists them"
        raise InputError(f"{folder.run!r} is not the id of a run", code="no-run", hint=hint)
    if strange := sorted(set(names) - RESULTS):
        shown = ", ".join(ascii(name) for name in strange[:5])
        message = f"{folder.status.uri} names files that a run doesn't have: {shown}"
        hint = "nothing was copied; find out who changed it, or use the version that wrote it"
        raise InputError(message, code="strange-name", hint=hint)


def _place(folder: RunFolder, results: Path) -> Path:
    place = results / folder.run
    if place.is_symlink():
        message = f"{place} is a link to {place.readlink()}"
        hint = "remove the link, or give another --into"
        raise InputError(message, code="leads-out", hint=hint)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{place}: {error.strerror}", code="unwritable") from error
    return place
