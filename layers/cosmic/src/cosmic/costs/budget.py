"""What a planned run is expected to cost, what it may cost at most, and if that is too much."""

from __future__ import annotations

from dataclasses import replace

from cosmic.contracts.manifest import RunLimits
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.bill import bill, billed_apart, billed_ms, total_usd
from cosmic.costs.counts import count
from cosmic.costs.measured import Measured, at_rate
from cosmic.costs.platform import LAMBDA
from cosmic.costs.predict import AGGREGATE_MB, Prediction, predict
from cosmic.costs.workload import of_plan
from cosmic.errors import Problem

# Time limits of the functions, and the initialisation that is billed beside them.
LONGEST_INIT_S = 10.0
LONGEST_RANK_S = 900.0 + LONGEST_INIT_S
LONGEST_AGGREGATE_S = 840.0 + LONGEST_INIT_S


def expect(plan: Plan, limits: Limits, measured: Measured) -> Prediction:
    """What the plan will take on Lambda, computed by the same function as in `cosmic tune`.

    Raises:
        InputError: nothing was measured with the plan's batch size.
    """
    job, how = of_plan(plan, limits.memory_mb, cold=measured.init_s is not None)
    return predict(job, how, measured, replace(LAMBDA, ranks_at_once=limits.world_size))


def most_usd(plan: Plan, limits: Limits) -> float:
    """What the run costs if every function is billed for its whole time limit, once, in dollars.

    A rank that is retried is billed again, and so is one that Lambda refused; both are rare.
    """
    job, how = of_plan(plan, limits.memory_mb)
    known = count(job, how, min(plan.world_size, limits.world_size))
    ranks = [(billed_ms(LONGEST_RANK_S), limits.memory_mb)] * plan.world_size
    aggregate = (billed_ms(LONGEST_AGGREGATE_S), AGGREGATE_MB)
    return total_usd(bill(known.usage(*billed_apart(ranks, aggregate, plan.architecture))))


def over_budget(
    plan: Plan, wanted: RunLimits, limits: Limits, measured: Measured | None = None
) -> list[Problem]:
    """The problems of a run that may cost too much; none if it has no limit.

    Args:
        plan: The run.
        wanted: What its manifest allows.
        limits: Of the deployment.
        measured: How fast the model is; None: as the manifest states it. If the manifest doesn't
            state it either, the most that the run may cost is compared, because no cost can be
            expected for a model that nobody has measured.
    """
    most = wanted.max_cost_usd
    if most is None:
        return []
    if measured is None and wanted.rows_per_s is not None:
        measured = at_rate(wanted.rows_per_s, plan)
    if measured is None:
        usd, what = most_usd(plan, limits), "may cost up to"
        hint = (
            "raise it, use fewer ranks, or give limits.rows_per_s (from `cosmic tune` or a "
            "finished run), so that the expected cost counts"
        )
    else:
        usd, what = expect(plan, limits, measured).usd, "is expected to cost"
        hint = "raise it, or read fewer rows; `cosmic tune` finds a cheaper configuration"
    if usd <= most:
        return []
    message = f"the run {what} ${usd:.6f}, more than max_cost_usd, ${most:.6f}"
    return [Problem("/limits/max_cost_usd", message, most, hint, "too-expensive")]
