"""How many rows there are, how large their partitions are, and which model they are for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from cosmic.contracts.columns import Header
from cosmic.contracts.contract import Contract, FormatName
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import parse_manifest
from cosmic.contracts.plan import Plan, PlannedPartition, limit_rows
from cosmic.costs.card_figures import Runs, is_card, of_card
from cosmic.costs.counts import Configuration, Job
from cosmic.costs.measured import Measured, from_metrics
from cosmic.costs.tune import PARTITION_ROWS
from cosmic.data.formats import FORMATS, read_header
from cosmic.errors import InputError, InvalidInput, Problem
from cosmic.planning.inputs import inspect_inputs
from cosmic.storage.interfaces import Readable

ROW_BYTES = 20_568  # of a native partition of 32 x 32 pixels


@dataclass(frozen=True)
class Workload:
    """What is to be predicted.

    Attributes:
        job: Rows, and how ranks talk.
        partition_rows: Sizes to choose from; one where the data exist already.
    """

    job: Job
    partition_rows: tuple[int, ...] = PARTITION_ROWS


class _Job(Contract):
    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    rows: int = Field(ge=1)


class _Tuned(Contract):
    """What is needed of a document that `cosmic tune --json` prints."""

    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    job: _Job
    measured: Measured


def of_rows(rows: int, row_bytes: int = ROW_BYTES) -> Workload:
    """Rows that can be put into partitions of any size."""
    return Workload(Job(rows, row_bytes))


def of_plan(plan: Plan, memory_mb: int, *, cold: bool = True) -> tuple[Job, Configuration]:
    """What a plan is to do, and how, in functions of `memory_mb` MB."""
    stops = {i: 0 for i, _ in enumerate(plan.partitions)}
    for piece in (s for rank in plan.ranks for s in rank.slices):
        stops[piece.partition] = max(stops[piece.partition], piece.stop)
    rows = tuple(stops.values())
    row_bytes = max(p.row_bytes for p in plan.partitions)
    job = Job(plan.rows, row_bytes, cold, plan.channel, plan.fmi_timeout_s, rows, plan.id_bytes)
    shape = (memory_mb, plan.world_size, plan.batch_size, max(rows))
    return job, Configuration(*shape, plan.architecture)


def of_folder(folder: Path) -> Workload:
    """The partitions in a folder on this machine.

    Raises:
        InputError: there is none, or one is damaged.
    """
    known = [(p, _layout(p)) for p in sorted(folder.glob("*"))]
    headers = [_header(path, layout) for path, layout in known if layout]
    if not headers:
        endings = ", ".join(layout.suffix for layout in FORMATS.values())
        raise InputError(f"{folder} holds no partitions ({endings})", code="not-found")
    return _of([h.rows for h in headers], headers)


def _layout(path: Path) -> FormatName | None:
    return next((n for n, kind in FORMATS.items() if path.suffix == kind.suffix), None)


def _header(path: Path, layout: FormatName) -> Header:
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        header = read_header(layout, read, path.stat().st_size, str(path))
    if not isinstance(header, Header):
        raise InvalidInput(header)
    return header


def of_manifest(text: bytes, store: Readable, checkpoint: Path) -> Workload:
    """What a manifest names; its model is copied to `checkpoint`.

    Raises:
        InvalidInput: everything that is wrong with it, or with what it names.
    """
    parsed = parse_manifest(text)
    found = inspect_inputs(store, parsed.data, parsed.model)
    if found.problems or found.model is None:
        raise InvalidInput(found.problems)
    paid = store.paid_by(parsed.data.request_payer)
    checkpoint.write_bytes(paid.get(Location(found.model.bucket, found.model.key)))
    taken = limit_rows([p.rows for p in found.partitions], parsed.inference.limit_rows)
    work = _of(taken, found.partitions)
    wanted = parsed.fmi.channel
    channel = "direct" if wanted == "auto" else wanted
    return replace(work, job=replace(work.job, channel=channel, fmi_timeout_s=parsed.fmi.timeout_s))


def _of(rows: list[int], parts: Sequence[Header] | Sequence[PlannedPartition]) -> Workload:
    """These rows of partitions of which the widest row, and the longest id, stand for all."""
    row_bytes = max(p.row_bytes for p in parts)
    ids = max((p.id_bytes for p in parts if p.id_bytes is not None), default=None)
    return Workload(Job(sum(rows), row_bytes, partitions=tuple(rows), id_bytes=ids), (max(rows),))


def earlier(path: Path, wanted: Runs | None = None) -> tuple[Measured, Workload | None]:
    """What was measured before: a `metrics.json`, what `cosmic tune --json` printed, or a card.

    Args:
        wanted: What is to run the model: a card may have figures of several engines.

    Returns:
        The figures, and that run's or job's rows; a card has none.

    Raises:
        InputError: it can't be read.
        InvalidInput: it is neither.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", code="not-found") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}", code="not-json") from error
    if is_card(document):
        return of_card(document, path, wanted), None
    if isinstance(document, dict) and "measured" in document:
        tuned = _tuned(document)
        found, rows = tuned.measured, tuned.job.rows
    else:
        found, rows = from_metrics(document, str(path)), document["run"]["rows"]
    return found, of_rows(rows, found.row_bytes)


def _tuned(document: Any) -> _Tuned:
    try:
        return _Tuned.model_validate(document, strict=False)
    except ValidationError as error:
        hint = "give what `cosmic tune --json` of this version printed"
        problems = [
            Problem("".join(f"/{part}" for part in e["loc"]), e["msg"], None, hint, "not-measured")
            for e in error.errors()
        ]
        raise InvalidInput(problems) from error
