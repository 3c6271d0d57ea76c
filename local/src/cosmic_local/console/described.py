"""What the console says of one run."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from cosmic.contracts.layout import RESULTS, RunFolder
from cosmic.contracts.status import State, Status
from cosmic.errors import CosmicError, InputError
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore

KEPT = 400
RANK = re.compile(r"/rank-(\d+)-of-\d+\.json$")


def describe_run(store: Store, folder: RunFolder, status: Status) -> dict[str, Any]:
    """A run as JSON: its status, how far it has come, its figures and what can be downloaded."""
    done, rows_done = status.world_size or 0, status.rows_out
    if status.state is not State.SUCCEEDED:
        found = [RANK.search(each.key) for each in store.list(folder.at("records/"))]
        ranks = [int(match[1]) for match in found if match]
        done = len(ranks)
        if rows_done is None:
            rows_done = _rows_of(store, folder, ranks)
    return {
        "run": folder.run,
        "prefix": folder.prefix,
        "state": status.state.value,
        "final": status.state.final,
        "updated_at": status.updated_at,
        "ranks": status.world_size,
        "ranks_done": done,
        "rows_in": status.rows_in,
        "rows_out": status.rows_out,
        "rows_done": rows_done,
        **figures_of_run(store, folder, status),
        "notes": [*(str(p["message"]) for p in status.problems), *status.warnings],
        "report": "report.html" in status.outputs,
        "files": downloads(status),
    }


def downloads(status: Status) -> list[str]:
    """The names of the files that can be downloaded: a status may hold anything."""
    return sorted((status.outputs.keys() & RESULTS) - {"report.html"})


def _rows_of(store: Store, folder: RunFolder, ranks: list[int]) -> int | None:
    """Rows of the ranks that are done; None where the plan can't be read."""
    if not ranks:
        return 0
    try:
        planned = _planned_rows(store, folder)
    except (CosmicError, ValidationError):
        return None
    return sum(planned[rank] for rank in ranks if rank < len(planned))


@lru_cache(maxsize=KEPT)
def _planned_rows(store: Store, folder: RunFolder) -> tuple[int, ...]:
    """A plan is written once."""
    return tuple(rank.rows for rank in RunStore(store, folder).plan().ranks)


def figures_of_run(store: Store, folder: RunFolder, status: Status) -> dict[str, float | None]:
    """sigma_NMAD, seconds and US dollars of a run that has ended; None where there is none."""
    none = dict.fromkeys(("sigma_nmad", "wall_s", "usd"))
    if "metrics.json" not in status.outputs:
        return none
    return none | _figures(store, folder, status.updated_at)


@lru_cache(maxsize=KEPT)
def _figures(store: Store, folder: RunFolder, updated_at: str) -> dict[str, float | None]:
    """Of one state of a run: the console asks every second, and the metrics hold every rank."""
    try:
        found = json.loads(store.get(folder.metrics))
        sigma = found["photo_z"].get("sigma_nmad")
        figures = {"sigma_nmad": sigma, "wall_s": found["run"]["wall_s"]}
        return {**figures, "usd": found["bill"]["usd"]}
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        return {}
