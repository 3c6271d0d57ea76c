"""How far a run has come, worked out from what is visible from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cosmic.contracts.plan import Plan
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.status import Status
from cosmic.costs.bill import Usage, bill, billed_ms, invocation, total_usd, transitions


@dataclass(frozen=True)
class Seen:
    """What was found when a run was looked at.

    Attributes:
        status: Its status; None before `init` has written one.
        plan: Its plan; None until it has been read.
        done, failed: Ranks whose record exists, and those that failed for good.
        records: Some of the records of the ranks that are done.
        running: Ranks that run, as Step Functions counts them.
        began_at_s: When the first ranks were started, seconds since 1970; None before.
        now_s: When the look was taken.
        memory_mb: Of a rank's function; 0 if unknown.
    """

    status: Status | None
    plan: Plan | None = None
    done: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()
    records: Sequence[RankRecord] = ()
    running: int = 0
    began_at_s: float | None = None
    now_s: float = 0.0
    memory_mb: int = 0


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        phase: `waiting for init`, `waiting for room`, `inferring`, `merging`, or how it ended.
        ranks: Of the run; the next four add up to it.
        rows, rows_done: Of the run, and of the ranks that are done.
        rows_per_s: Rows done over the time since the first ranks started; None before any is.
        eta_s: Seconds until the last rank is done at that rate; None if there is no rate.
        usd: Approximate cost so far: ranks that are still running count from the
            first start on.
        elapsed_s: Time since the first ranks started.
    """

    phase: str
    ranks: int
    queued: int
    running: int
    done: int
    failed: int
    rows: int
    rows_done: int
    rows_per_s: float | None
    eta_s: float | None
    usd: float
    elapsed_s: float


def progress_of(seen: Seen) -> Progress:
    """Work out how far a run has come."""
    ranks = (seen.status.world_size if seen.status else None) or 0
    failed = seen.failed - seen.done
    ended = len(seen.done) + len(failed)
    running = max(0, min(seen.running, ranks - ended))
    rows = (seen.status.rows_in if seen.status else None) or 0
    rows_done = _rows_of(seen.plan, seen.done)
    elapsed_s = max(0.0, seen.now_s - seen.began_at_s) if seen.began_at_s else 0.0
    rate = rows_done / elapsed_s if rows_done and elapsed_s else None
    left = rows - rows_done - _rows_of(seen.plan, failed)
    return Progress(
        phase=_phase(seen, ranks, ended),
        ranks=ranks,
        queued=max(0, ranks - ended - running),
        running=running,
        done=len(seen.done),
        failed=len(failed),
        rows=rows,
        rows_done=rows_done,
        rows_per_s=rate,
        eta_s=left / rate if rate else None,
        usd=_usd(seen, running, ended, elapsed_s),
        elapsed_s=elapsed_s,
    )


def _phase(seen: Seen, ranks: int, ended: int) -> str:
    if seen.status is None:
        return "waiting for init"
    if seen.status.state.final:
        return seen.status.state.value.lower()
    if ranks and ended >= ranks:
        return "merging"
    return "inferring" if seen.began_at_s else "waiting for room"


def _rows_of(plan: Plan | None, ranks: frozenset[int]) -> int:
    if plan is None:
        return 0
    return sum(plan.ranks[rank].rows for rank in ranks if rank < plan.world_size)


def _usd(seen: Seen, running: int, ended: int, elapsed_s: float) -> float:
    """From the records that were read; ranks without one count as those with, on average."""
    known = seen.records
    share = len(seen.done) / len(known) if known else 0.0
    memory_mb = known[0].memory_mb if known else seen.memory_mb
    done = [(round(ms * share), mb) for ms, mb in map(invocation, known)]
    billed = (*done, *((billed_ms(elapsed_s), memory_mb),) * running)
    arm = seen.plan is not None and seen.plan.architecture == "arm64"
    usage = Usage(
        lambda_billed_ms=() if arm else billed,
        arm64_billed_ms=billed if arm else (),
        state_transitions=transitions(ended),
        s3_gets=round(share * sum(r.s3_reads for r in known)),
        s3_puts=round(share * sum(r.s3_writes for r in known)),
    )
    return total_usd(bill(usage)) if seen.began_at_s else 0.0
