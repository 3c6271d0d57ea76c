"""What a manifest would do here: `init`'s own inputs and plan, and what they will take and cost."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from cosmic.contracts.engines import choose_engine
from cosmic.contracts.manifest import Manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.bill import (
    TRANSITIONS_OF_A_RANK,
    TRANSITIONS_OF_A_RUN,
    Line,
    Usage,
    bill,
    billed_ms,
)
from cosmic.data.ranges import PART_BYTES
from cosmic.errors import InputError
from cosmic.planning.concurrency import ranks_at_once
from cosmic.planning.inputs import RunInputs
from cosmic.planning.memory import projected_memory_mb
from cosmic.planning.settings import InitSettings
from cosmic_cli.target import Target

MB_PER_VCPU = 1769
AGGREGATE_MB = 1769
REQUESTS_OF_A_RANK = (4, 4)  # S3 reads and writes beside its rows
REQUESTS_OF_A_RUN = (4, 16)
FULL_ROWS_PER_S = {"openvino": 359.0, "onnxruntime": 264.0, "torch": 220.0}
FULL_BASIS = (
    "the full AstroMAE on one vCPU, as docs/performance.md measured it; a smaller model is faster "
    "(--like RUN takes a finished run's rate, --rows-per-s your own)"
)


@dataclass(frozen=True)
class Rates:
    """What the expected time is worked out from.

    Attributes:
        rows_per_s: Rows that one rank's model does in a second of a whole vCPU.
        basis: Where that number comes from.
        bytes_per_s: That one rank reads.
        start_s: Cold start, imports and model of a rank.
        close_s: From a rank's last row to its end.
        merge_s, merged_rows_per_s: Of `aggregate`.
    """

    rows_per_s: float
    basis: str
    bytes_per_s: float = 75e6
    start_s: float = 4.0
    close_s: float = 1.0
    merge_s: float = 3.0
    merged_rows_per_s: float = 100_000.0


@dataclass(frozen=True)
class Expected:
    """How long a run will take, and its bill.

    Attributes:
        rank_s: Of the rank with the most rows.
        waves: How often ranks have to wait for others to end.
        wall_s: From the execution's start to the merge's end, without a wait for room.
        lines: The bill.
    """

    rank_s: float
    waves: int
    wall_s: float
    lines: list[Line]


def limits_of(target: Target) -> Limits:
    """What the deployment can do now, read from `init`'s own settings.

    Raises:
        InputError: the deployment's `init` is of another version, or can't be looked at.
    """
    name = target.outputs.get("InitFunctionName", "")
    configuration = target.function(name)
    variables = configuration.get("Environment", {}).get("Variables", {})
    try:
        settings = InitSettings.from_environment(variables)
    except ValidationError as error:
        hint = "deploy this version, or use the version that is deployed"
        message = f"{name}'s settings are of another version: {error.error_count()} differ"
        raise InputError(message, code="not-cosmic", hint=hint) from error
    functions = target.client("lambda")
    return settings.limits(
        ranks_at_once(functions, settings.infer_function, settings.max_world_size)
    )


def needed_mb(manifest: Manifest, found: RunInputs) -> int:
    """Memory that a rank needs, in MiB."""
    row_bytes = max((p.row_bytes for p in found.partitions), default=0)
    model_bytes = found.model.bytes if found.model else 0
    inference = manifest.inference
    engine = choose_engine(inference.engine)
    return projected_memory_mb(model_bytes, row_bytes, inference.batch_size, engine)


def bytes_to_read(plan: Plan) -> int:
    """Bytes of the rows of all ranks."""
    return sum(
        (s.stop - s.start) * plan.partitions[s.partition].row_bytes
        for rank in plan.ranks
        for s in rank.slices
    )


def default_rates(plan: Plan) -> Rates:
    """The rates if nothing better is known."""
    return Rates(FULL_ROWS_PER_S[plan.engine], FULL_BASIS)


def expect(plan: Plan, limits: Limits, rates: Rates) -> Expected:
    """Work out time and bill; reading and computing overlap."""
    vcpus = limits.memory_mb / MB_PER_VCPU
    rows_per_s = rates.rows_per_s * (vcpus if vcpus < 1 else int(vcpus))
    row_bytes = bytes_to_read(plan) / max(1, plan.rows)

    def seconds(rows: int) -> float:
        busy = max(rows / rows_per_s, rows * row_bytes / rates.bytes_per_s)
        return rates.start_s + busy + rates.close_s

    ranks_s = [seconds(rank.rows) for rank in plan.ranks]
    waves = -(-plan.world_size // limits.world_size)
    merge_s = rates.merge_s + plan.rows / rates.merged_rows_per_s
    usage = Usage(
        lambda_billed_ms=(
            *((billed_ms(rank_s), limits.memory_mb) for rank_s in ranks_s),
            (billed_ms(merge_s), AGGREGATE_MB),
        ),
        state_transitions=TRANSITIONS_OF_A_RUN + TRANSITIONS_OF_A_RANK * plan.world_size,
        s3_gets=_requests(plan, 0) + -(-bytes_to_read(plan) // PART_BYTES) + len(plan.partitions),
        s3_puts=_requests(plan, 1),
    )
    return Expected(max(ranks_s), waves, waves * max(ranks_s) + merge_s, bill(usage))


def _requests(plan: Plan, kind: int) -> int:
    return REQUESTS_OF_A_RUN[kind] + REQUESTS_OF_A_RANK[kind] * plan.world_size
