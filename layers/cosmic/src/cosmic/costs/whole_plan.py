"""The whole plan of a manifest, as `init` would make it: its ranks, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cosmic.contracts.manifest import Manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.budget import over_budget
from cosmic.costs.measured import Measured, at_rate
from cosmic.costs.world_size import best_world_size
from cosmic.errors import InvalidInput
from cosmic.planning.plan_run import plan_run, survey_input
from cosmic.storage.interfaces import Readable


class WholePlan(NamedTuple):
    """A plan without any problems.

    Attributes:
        measured: How fast its model runs; None: nobody has measured it.
    """

    plan: Plan
    measured: Measured | None


def whole_plan(
    manifest: Manifest,
    store: Readable,
    limits: Limits,
    run: str = "",
    measure: Callable[[Plan], Measured | None] = lambda plan: None,
) -> WholePlan:
    """Plan a run; nothing is written, nothing is started.

    Args:
        manifest: What is to be done.
        store: Where its input is.
        limits: Of the deployment, or of what stands for one.
        run: Id of the run; empty: the manifest's job.
        measure: Says how fast a plan's model runs; if it can't, the manifest's own
            `limits.rows_per_s` counts.

    Raises:
        InvalidInput: the run is not possible; lists all the reasons.
        InputError: as `measure`.
        TransientError: S3 failed.
    """
    found = survey_input(manifest, store, limits)
    plan = plan_run(run or manifest.job, manifest, found, limits, best_world_size)
    if not isinstance(plan, Plan):
        raise InvalidInput(plan)
    measured = measure(plan)
    if measured is None and manifest.limits.rows_per_s is not None:
        measured = at_rate(manifest.limits.rows_per_s, plan)
    if problems := over_budget(plan, manifest.limits, limits, measured):
        raise InvalidInput(problems)
    return WholePlan(plan, measured)
