"""The plan: which rank reads which rows.

Rows are shared in whole batches of a grid that is fixed by the partition, not by the rank. A batch
therefore holds the same rows whatever the world size, and the model returns the same bits.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence  # pydantic looks at it
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.contract import Contract, FormatName, RequestPayer
from cosmic.contracts.engines import (
    AUTO_ENGINE,
    ENGINES,
    Architecture,
    EngineName,
    Precision,
    choose_engine,
)
from cosmic.contracts.numerous import Numerous
from cosmic.contracts.packed import Packed
from cosmic.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cosmic.contracts.manifest import Manifest

AUTO_ROWS_PER_RANK = 1280  # where nobody knows what a rank costs
GATHER_MAX_ROWS = 1_000_000


class PlannedModel(Contract):
    """The checkpoint as it was when the run was planned.

    Attributes:
        has_domain: Whether it knows which objects are like those of its training.
        bands: That it takes; the partitions have them, and the catalogue has their magnitudes.
    """

    bucket: str
    key: str
    etag: str
    bytes: int
    sha256: str
    has_domain: bool = False
    bands: Bands = Field(default=BANDS, strict=False)


class PlannedPartition(Numerous):
    """A partition as it was when the run was planned.

    Attributes:
        row_bytes: Of a row of all columns.
        id_bytes: Of each id if ids are text; None: they are whole numbers.
    """

    bucket: str
    key: str
    etag: str
    bytes: int = Field(ge=0)
    rows: int = Field(ge=0)
    row_bytes: int = Field(ge=0)
    format: FormatName = "safetensors"
    id_bytes: int | None = None


class Slice(Numerous):
    """Rows `start` up to and without `stop` of one partition, by its index."""

    partition: int = Field(ge=0)
    start: int = Field(ge=0)
    stop: int


class RankPlan(Numerous):
    """What one rank does; ranks without rows still join every collective."""

    rank: int
    slices: tuple[Slice, ...] = Field(strict=False)

    @property
    def rows(self) -> int:
        """Rows of this rank."""
        return sum(s.stop - s.start for s in self.slices)


class CaiResults(Contract):
    """CAI's `result_path`, and whether the functions may write there.

    Attributes:
        copied: Whether combined_data.json goes there too, not to the run's folder alone.
    """

    result_path: str
    copied: bool


class PlanSettings(Contract):
    """What is the same for all ranks of a run.

    Attributes:
        dataset: URI of the data set, or of its first partition.
        gather: Whether rank 0 gathers all rows and writes them as one object.
        warnings: What the user should know of the way in which it is run.
        check_pixels: Whether objects are flagged whose pixels and magnitudes disagree.
        cai: What CAI's combined_data.json of this run says of its place, and where it goes.
        request_payer: Who pays for reading partitions and model.
        architecture: Of the processor that ranks run on.
        hats: Whether the catalogue is written as a HATS collection, too.
        planned_at: When `init` made it, UTC ISO 8601; None: nobody has written it down.
    """

    # What checks one of these is built with the first: a rank has a part and no plan.
    model_config = ConfigDict(defer_build=True)

    version: Literal[1] = 1
    run: str
    dataset: str
    model: PlannedModel
    batch_size: int = Field(ge=1)
    engine: EngineName = AUTO_ENGINE
    precision: Precision = "float32"
    channel: str
    fmi_timeout_s: float = Field(ge=0, allow_inf_nan=False)
    failed_rows_percent: float = Field(ge=0, allow_inf_nan=False)
    gather: bool
    ignored_keys: tuple[str, ...] = Field(default=(), strict=False)
    warnings: tuple[str, ...] = Field(default=(), strict=False)
    check_pixels: bool = False
    cai: CaiResults | None = None
    request_payer: RequestPayer | None = None
    architecture: Architecture = "x86_64"
    hats: bool = False
    planned_at: str | None = None


def _or_packed(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, Packed) else handler(value)


def _tuple_of(kind: Any, **limits: Any) -> GetPydanticSchema:
    """A tuple, from JSON as from Python."""
    tuples = Annotated[tuple[kind, ...], Field(strict=False, **limits)]
    return GetPydanticSchema(lambda _, handler: handler(tuples))


class Plan(PlanSettings):
    """A run's whole plan: what all ranks share, the partitions, and which rank reads which rows.

    Partitions and ranks are tuples, or `Packed` where memory counts.
    """

    partitions: Annotated[
        Sequence[PlannedPartition], _tuple_of(PlannedPartition), WrapValidator(_or_packed)
    ]
    ranks: Annotated[
        Sequence[RankPlan], _tuple_of(RankPlan, min_length=1), WrapValidator(_or_packed)
    ]

    @model_validator(mode="after")
    def _shares_its_rows(self) -> Self:
        """Each row is of one rank at most: who reads a plan may rely on it."""
        if [rank.rank for rank in self.ranks] != list(range(len(self.ranks))):
            raise ValueError("the ranks are not numbered from 0")
        slices = sorted((s.partition, s.start, s.stop) for rank in self.ranks for s in rank.slices)
        before = (-1, 0)
        for partition, start, stop in slices:
            if partition >= len(self.partitions) or stop > self.partitions[partition].rows:
                raise ValueError(f"rows {start} to {stop} of partition {partition} don't exist")
            if stop <= start or (before[0] == partition and start < before[1]):
                raise ValueError(f"rows {start} to {stop} of partition {partition} are not a share")
            before = (partition, stop)
        if not slices:
            raise ValueError("no rank has rows")
        return self

    @property
    def world_size(self) -> int:
        """Number of ranks."""
        return len(self.ranks)

    @property
    def announced(self) -> tuple[str, ...]:
        """Warnings that the status has from the start."""
        if not self.ignored_keys:
            return self.warnings
        count, keys = len(self.ignored_keys), ", ".join(self.ignored_keys[:20])
        what = "1 object that is not a partition"
        if count > 1:
            what = f"{count} objects that are not partitions"
        return (*self.warnings, f"ignored {what}: {keys}")

    @property
    def rows(self) -> int:
        """Rows that go in and must come out."""
        return sum(r.rows for r in self.ranks)

    @property
    def id_bytes(self) -> int | None:
        """Bytes of the longest id if ids are text; None: they are whole numbers."""
        return max((p.id_bytes for p in self.partitions if p.id_bytes is not None), default=None)


class PlanPart(PlanSettings):
    """What one rank needs of a plan.

    Attributes:
        id_bytes: Bytes of the longest id of all partitions if ids are text.
        partitions: Those that its slices touch, by their index in the plan.
    """

    world_size: int
    id_bytes: int | None
    rank: int
    slices: tuple[Slice, ...] = Field(strict=False)
    partitions: dict[int, PlannedPartition] = Field(strict=False)


_ADAPTER = TypeAdapter(Plan)


def parse_plan(text: bytes) -> Plan:
    """Read a plan that `init` wrote.

    Raises:
        pydantic.ValidationError: the text is not a plan of this version.
    """
    return _ADAPTER.validate_json(text)


def used_ranks(world_size: int, rows: Sequence[int], batch_size: int) -> tuple[int, list[str]]:
    """How many ranks have something to do: rows are shared in whole batches.

    Args:
        world_size: Ranks that are wanted.
        rows: Rows of each partition.

    Returns:
        As many as are wanted or as there are batches, and what to warn of.
    """
    batches = max(1, sum(-(-n // batch_size) for n in rows))
    if world_size <= batches:
        return world_size, []
    what = "1 batch" if batches == 1 else f"{batches} batches"
    ranks = "1 rank runs" if batches == 1 else f"{batches} ranks run"
    return batches, [
        f"{ranks}, not {world_size}: there is no more than {what} of {batch_size} rows"
    ]


def limit_rows(rows: Sequence[int], limit: int | None) -> list[int]:
    """Rows to take of each partition so that the first `limit` rows are taken in all."""
    left = sum(rows) if limit is None else limit
    taken = []
    for n in rows:
        taken.append(min(n, left))
        left -= taken[-1]
    return taken


def share_rows(rows: Sequence[int], world_size: int, batch_size: int) -> list[RankPlan]:
    """Share every row of every partition exactly once, contiguous and balanced.

    Args:
        rows: Rows of each partition.
        world_size: Number of ranks.
        batch_size: Cuts fall on multiples of this row number in a partition.

    Returns:
        One plan a rank. Ranks differ by one batch at the most, counted in batches.
    """
    ends = list(accumulate(math.ceil(n / batch_size) for n in rows))
    total = ends[-1] if ends else 0
    cuts = [total * r // world_size for r in range(world_size + 1)]
    return [
        RankPlan(rank=r, slices=tuple(_slices(rows, ends, batch_size, *cut)))
        for r, cut in enumerate(pairwise(cuts))
    ]


def _slices(
    rows: Sequence[int], ends: Sequence[int], batch_size: int, first: int, last: int
) -> Iterator[Slice]:
    """The rows of batches `first` to `last`, counted through all partitions, without `last`."""
    partition = bisect_right(ends, first)
    while first < last:
        begin = ends[partition - 1] if partition else 0
        end = min(last, ends[partition])
        if end > first:
            stop = min((end - begin) * batch_size, rows[partition])
            yield Slice(partition=partition, start=(first - begin) * batch_size, stop=stop)
        first, partition = end, partition + 1


def gathers(channel: str, rows: int) -> bool:
    """Whether rank 0 of a run gathers all rows and writes them as one object."""
    return channel != "none" and rows <= GATHER_MAX_ROWS


def make_plan(
    run: str,
    manifest: Manifest,
    model: PlannedModel,
    partitions: Sequence[PlannedPartition],
    *,
    world_size: int,
    channel: str,
    ignored_keys: Sequence[str] = (),
    warnings: Sequence[str] = (),
    check_pixels: bool = False,
    output_prefixes: tuple[str, ...] = (),
    engines: Sequence[EngineName] = ENGINES,
    architecture: Architecture = "x86_64",
) -> Plan:
    """Put together the plan of a run whose parts have been checked."""
    rows = limit_rows([p.rows for p in partitions], manifest.inference.limit_rows)
    return Plan(
        run=run,
        dataset=manifest.data.uri or (manifest.data.partitions or ("",))[0],
        model=model,
        partitions=tuple(partitions),
        ranks=tuple(share_rows(rows, world_size, manifest.inference.batch_size)),
        batch_size=manifest.inference.batch_size,
        engine=choose_engine(manifest.inference.engine, engines),
        precision=manifest.inference.precision,
        channel=channel,
        fmi_timeout_s=manifest.fmi.timeout_s,
        failed_rows_percent=manifest.tolerate.failed_rows_percent,
        gather=gathers(channel, sum(rows)),
        ignored_keys=tuple(ignored_keys),
        warnings=tuple(warnings),
        check_pixels=check_pixels,
        cai=_cai_results(manifest.output.cai_result_path, output_prefixes),
        request_payer=manifest.data.request_payer,
        hats=manifest.output.hats,
        architecture=architecture,
    )


def _cai_results(path: str | None, output_prefixes: tuple[str, ...]) -> CaiResults | None:
    if path is None:
        return None
    copied = any(path.startswith(prefix) and path != prefix for prefix in output_prefixes)
    return CaiResults(result_path=path, copied=copied)


def refusals(
    plan_rows: int, world_size: int, channel: str, limits: Limits, memory_mb: int
) -> list[Problem]:
    """Why a run of this shape can't work here, before anything is billed."""
    problems = []
    if channel != "none" and world_size > limits.world_size:
        problems.append(
            Problem(
                "/inference/world_size",
                f"{world_size} ranks, but only {limits.world_size} can run at once",
                world_size,
                f"use at most {limits.world_size}, let fmi.channel be auto or none, or raise "
                "InferConcurrency and the account's concurrency",
                "too-many-ranks",
            )
        )
    if plan_rows == 0:
        problems.append(
            Problem("/data", "the partitions hold no rows", 0, "check the data set", "no-rows")
        )
    if channel not in (*limits.channels, "none"):
        have = ", ".join((*limits.channels, "none"))
        problems.append(
            Problem(
                "/fmi/channel",
                f"channel {channel!r} is not set up in this deployment",
                channel,
                f"it has {have}",
                "no-channel",
            )
        )
    if memory_mb > limits.memory_mb:
        problems.append(
            Problem(
                "/inference/batch_size",
                f"a rank needs about {memory_mb} MB, its function has {limits.memory_mb} MB",
                memory_mb,
                "use a smaller batch_size, or deploy with a larger InferMemorySize",
                "too-little-memory",
            )
        )
    return problems


class FunctionLimits(Contract):
    """Time, memory and scratch of `init` and `aggregate`, as template.yaml gives them."""

    init_s: int = 600
    init_memory_mb: int = 512
    aggregate_s: int = 840
    aggregate_memory_mb: int = 1769
    aggregate_scratch_mb: int = 10_240


class Limits(Contract):
    """What the deployment can do.

    Attributes:
        functions: Of `init` and `aggregate`; None: a run takes neither.
        world_size: Ranks that can run at once.
        memory_mb: Memory of a rank's function.
        channels: How ranks can talk, the best first.
        output_prefixes: Where results may be written.
        engines: Libraries that a rank can run the model with, at least one.
        architecture: Of the processor that ranks run on.
    """

    world_size: int
    memory_mb: int
    channels: tuple[str, ...] = Field(strict=False)
    output_prefixes: tuple[str, ...] = Field(default=("",), strict=False)
    engines: tuple[EngineName, ...] = Field(default=ENGINES, strict=False, min_length=1)
    architecture: Architecture = "x86_64"
    functions: FunctionLimits | None = FunctionLimits()
