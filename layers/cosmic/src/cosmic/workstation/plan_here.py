"""Manifests and plans over files of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import FormatName, Manifest, PixelMismatch, check_manifest
from cosmic.contracts.numbered_sets import natural_order
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.budget import over_budget
from cosmic.data.formats import FORMATS
from cosmic.errors import InputError, InvalidInput
from cosmic.planning.plan_run import plan_run, survey_input
from cosmic.storage.interfaces import Readable

HERE = "local"  # the bucket that this machine's files are in
MEMORY_MB = 1 << 30  # what this machine has is its user's to know


def planned(manifest: Manifest, store: Readable, limits: Limits, run: str = "") -> Plan:
    """The plan of a manifest.

    Args:
        run: Id of the run; empty: the manifest's job.

    Raises:
        InvalidInput: everything that speaks against it.
    """
    found = plan_run(run or manifest.job, manifest, survey_input(manifest, store, limits), limits)
    if not isinstance(found, Plan):
        raise InvalidInput(found)
    if problems := over_budget(found, manifest.limits, limits):
        raise InvalidInput(problems)
    return found


def limits_here(ranks: int) -> Limits:
    """What this machine can do: any number of ranks, one after another, that don't talk."""
    return Limits(world_size=ranks, memory_mb=MEMORY_MB, channels=(), functions=None)


def manifest_here(
    files: Sequence[Path],
    model: Path,
    inference: dict[str, Any],
    pixel_mismatch: PixelMismatch,
    *,
    lacking_percent: float = 0.0,
) -> Manifest:
    """A manifest of partitions and a model that are files of this machine.

    Args:
        files: Partitions of one format, in order.
        model: The checkpoint.
        inference: As in a manifest.
        pixel_mismatch: As in a manifest.
        lacking_percent: Rows that may lack a prediction.

    Raises:
        InvalidInput: everything that is wrong with it.
        InputError: the files are of several formats, or of none that a run reads.
    """
    return check_manifest(
        {
            "version": 1,
            "job": "local",
            "model": {"uri": uri_here(model)},
            "data": {
                "partitions": [uri_here(f) for f in files],
                "format": format_of(files),
                "pixel_mismatch": pixel_mismatch,
            },
            "inference": inference,
            "fmi": {"channel": "none"},
            "tolerate": {"failed_rows_percent": lacking_percent},
        }
    )


def partition_files(data: Path | str | Sequence[Path | str]) -> list[Path]:
    """The partitions of a folder, in natural order, or those that are named.

    Raises:
        InputError: the folder holds none.
    """
    if not isinstance(data, Path | str):
        return [Path(file) for file in data]
    folder = Path(data)
    if not folder.is_dir():
        return [folder]
    layouts = FORMATS.values()
    found = natural_order(
        str(p) for p in folder.iterdir() if any(layout.is_partition(p.name) for layout in layouts)
    )
    if not found:
        suffixes = [layout.suffix for layout in layouts]
        hint = f"partitions end in {' or '.join(suffixes)}"
        raise InputError(f"{folder} holds no partitions", code="no-partitions", hint=hint)
    return [Path(path) for path in found]


def format_of(files: Sequence[Path]) -> FormatName:
    """The one format that partitions have by their names.

    Raises:
        InputError: they have several, or none.
    """
    by_suffix = {layout.suffix: name for name, layout in FORMATS.items()}
    kinds = {file.suffix for file in files}
    if len(kinds) != 1 or not kinds <= by_suffix.keys():
        message = f"partitions end in {', '.join(sorted(map(repr, kinds))) or 'nothing'}"
        hint = f"give files of one kind: {' or '.join(by_suffix)}"
        raise InputError(message, code="bad-partition", hint=hint)
    return by_suffix[kinds.pop()]


def uri_here(path: Path) -> str:
    """A file's URI, in the bucket that stands for this machine."""
    return Location(HERE, path.absolute().as_posix().lstrip("/")).uri
