"""The runs of a bucket, as the console shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.status import State, Status, parse_status
from cosmic.errors import InputError
from cosmic.storage.objects import Store

NEWEST = 100


def list_runs(
    s3: Any, store: Store, bucket: str, prefixes: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The newest runs under the prefixes, the newest first.

    Args:
        s3: A boto3 client, for the folders' names.
        store: The same S3.
        bucket: The data bucket.
        prefixes: Where results may lie.

    Returns:
        JSON objects, `NEWEST` at most; a run without a status that can be read is not among them.
    """
    found = [
        describe_run(store, folder, status)
        for folder in _folders(s3, bucket, prefixes)
        if (status := _status(store, folder)) is not None
    ]
    return sorted(found, key=lambda run: str(run["updated_at"]), reverse=True)[:NEWEST]


def _folders(s3: Any, bucket: str, prefixes: tuple[str, ...]) -> Iterator[RunFolder]:
    pages = s3.get_paginator("list_objects_v2")
    for prefix in prefixes:
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", []):
                name = entry["Prefix"].removeprefix(prefix).rstrip("/")
                yield RunFolder(bucket, prefix, name)


def _status(store: Store, folder: RunFolder) -> Status | None:
    try:
        return parse_status(store.get(folder.status))
    except (InputError, ValidationError):
        return None


def describe_run(store: Store, folder: RunFolder, status: Status) -> dict[str, Any]:
    """What the console says of one run."""
    done = status.world_size or 0
    if status.state is not State.SUCCEEDED:
        done = sum("/rank-" in found.key for found in store.list(folder.at("records/")))
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
        **figures_of_run(store, folder, status),
        "notes": [*(str(p["message"]) for p in status.problems), *status.warnings],
        "report": "report.html" in status.outputs,
    }


def figures_of_run(store: Store, folder: RunFolder, status: Status) -> dict[str, float | None]:
    """sigma_NMAD, seconds and US dollars of a run that has ended; None where there is none."""
    none = dict.fromkeys(("sigma_nmad", "wall_s", "usd"))
    if "metrics.json" not in status.outputs:
        return none
    return none | _figures(store, folder, status.updated_at)


@lru_cache(maxsize=4 * NEWEST)
def _figures(store: Store, folder: RunFolder, updated_at: str) -> dict[str, float | None]:
    """Of one state of a run: the console asks every second, and the metrics hold every rank."""
    try:
        found = json.loads(store.get(folder.metrics))
        sigma = found["photo_z"].get("sigma_nmad")
        figures = {"sigma_nmad": sigma, "wall_s": found["run"]["wall_s"]}
        return {**figures, "usd": found["bill"]["usd"]}
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def report_of(store: Store, bucket: str, prefixes: tuple[str, ...], path: str) -> bytes | None:
    """The page of the run that `path` (`runs/<run>`) names; None if there is none."""
    prefix, _, run = path.rpartition("/")
    if f"{prefix}/" not in prefixes or not run:
        return None
    try:
        return store.get(Location(bucket, f"{prefix}/{run}/report.html"))
    except InputError:
        return None
