"""A run's files, copied to this machine."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import Status
from cosmic.storage.objects import Store

AT_ONCE = 4


def download(store: Store, folder: RunFolder, status: Status, results: Path) -> Path:
    """Copy a run's results, its plan and its status.

    Returns:
        The folder: one of the run's own in `results`.
    """
    return fetch(store, folder, (*status.outputs, "status.json", "plan.json"), results)


def fetch(store: Store, folder: RunFolder, names: Iterable[str], results: Path) -> Path:
    """Copy some of a run's files; each appears when it is whole.

    Returns:
        The folder: one of the run's own in `results`.
    """
    place = results / folder.run
    place.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: store.download(folder.at(name), place / name), names))
    return place


def open_file(path: Path) -> None:
    """Show a file or a folder in the browser that the system, or `BROWSER`, names."""
    webbrowser.open(path.resolve().as_uri())
