"""How many ranks a run gets if its manifest leaves that open, and what other numbers would take.

The rule is the tuner's *best value*, the lowest product of cost and duration, over the same sizes,
with the deployment's memory and the manifest's batch size. It depends on nothing but the manifest,
its input and the deployment's limits, so the same three always give the same plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosmic.contracts.engines import choose_engine
from cosmic.contracts.manifest import Manifest
from cosmic.contracts.plan import Limits, Plan, limit_rows
from cosmic.costs.counts import Configuration, Job
from cosmic.costs.measured import Measured, Subject, usual
from cosmic.costs.platform import LAMBDA, Platform
from cosmic.costs.predict import Prediction, predict
from cosmic.costs.tune import LARGEST_WORLD, best_value, works, world_sizes
from cosmic.costs.workload import of_plan
from cosmic.planning.capacity import too_much_to_merge
from cosmic.planning.inputs import RunInputs

USUAL_ROWS_PER_S = 210.0  # of the model `full` on a core: the slower of two measured days


def best_world_size(manifest: Manifest, found: RunInputs, limits: Limits) -> int:
    """The number of ranks of best value for `inference.world_size: auto`.

    Args:
        manifest: Its `limits.rows_per_s` says how fast the model is; else it is
            `USUAL_ROWS_PER_S`.
        found: The manifest's input.
        limits: Of the deployment.

    Returns:
        Between 1 and the number of ranks that can run at once; 1 if there is nothing to do.
    """
    inference = manifest.inference
    rows = limit_rows([p.rows for p in found.partitions], inference.limit_rows)
    if not any(rows) or found.model is None:
        return 1
    job = Job(
        rows=sum(rows),
        row_bytes=max(p.row_bytes for p in found.partitions),
        channel="direct" if limits.channels else "none",
        fmi_timeout_s=manifest.fmi.timeout_s,
        partitions=tuple(rows),
    )
    subject = Subject(
        model_bytes=found.model.bytes,
        row_bytes=job.row_bytes,
        batch_size=inference.batch_size,
        engine=choose_engine(inference.engine, limits.engines),
        precision=inference.precision,
    )
    measured = usual(manifest.limits.rows_per_s or USUAL_ROWS_PER_S, subject)
    shape = (limits.memory_mb, 1, inference.batch_size, max(rows))
    how = Configuration(*shape, limits.architecture)
    return _best(job, how, measured, limits)


def _best(job: Job, how: Configuration, measured: Measured, limits: Limits) -> int:
    """Of the tuner's sizes; those that can't work count only where none can."""
    platform = _platform(limits)
    sizes = world_sizes(_most(job, how, limits))
    asked = [predict(job, replace(how, world_size=n), measured, platform) for n in sizes]
    able = [p for p in asked if works(p, platform) and _merges(job, p, limits)]
    return best_value(able or asked).configuration.world_size


def _merges(job: Job, p: Prediction, limits: Limits) -> bool:
    partitions = len(job.partitions or ())
    ranks = p.configuration.world_size
    return not (
        limits.functions and too_much_to_merge(job.rows, ranks, partitions, limits.functions)
    )


def _most(job: Job, how: Configuration, limits: Limits) -> int:
    """No rank without a batch, none that has to wait for another to end."""
    batches = sum(-(-int(n) // how.batch_size) for n in job.sizes(how.partition_rows))
    return max(1, min(limits.world_size, batches, LARGEST_WORLD))


def _platform(limits: Limits) -> Platform:
    return replace(LAMBDA, ranks_at_once=limits.world_size)


@dataclass(frozen=True)
class Alternatives:
    """A plan's number of ranks beside half of it and twice as many.

    Attributes:
        planned: The plan's.
        predictions: With fewer ranks, as planned, with more; without those that can't be.
        rows_per_s: Of a core, from which they follow.
        assumed: Whether nobody has measured it.
    """

    planned: int
    predictions: Sequence[Prediction]
    rows_per_s: float
    assumed: bool

    def document(self) -> dict[str, Any]:
        """As JSON."""
        found = [
            {
                "ranks": p.configuration.world_size,
                "planned": p.configuration.world_size == self.planned,
                "wall_s": p.wall_s,
                "usd": p.usd,
            }
            for p in self.predictions
        ]
        return {"rows_per_s": self.rows_per_s, "assumed": self.assumed, "of": found}


def alternatives(plan: Plan, limits: Limits, measured: Measured | None) -> Alternatives:
    """What fewer and more ranks than a plan has would take.

    Args:
        measured: How fast the model is; None: assume `USUAL_ROWS_PER_S`.
    """
    known = measured or usual(USUAL_ROWS_PER_S, Subject.of_plan(plan))
    job, how = of_plan(plan, limits.memory_mb, cold=known.init_s is not None)
    ranks, most = plan.world_size, max(plan.world_size, _most(job, how, limits))
    sizes = sorted({max(1, ranks // 2), ranks, min(most, 2 * ranks)})
    platform = _platform(limits)
    found = [predict(job, replace(how, world_size=n), known, platform) for n in sizes]
    return Alternatives(ranks, found, known.rows_per_s[plan.batch_size], measured is None)
