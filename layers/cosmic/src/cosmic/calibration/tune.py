"""Where to run a job: the fastest, the cheapest and the best-value configuration on Lambda."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from cosmic.costs.bill import bill_document
from cosmic.costs.counts import Job
from cosmic.costs.measured import Measured
from cosmic.costs.platform import LAMBDA, Platform
from cosmic.costs.predict import Prediction
from cosmic.costs.tune import Advice, Constraints, advise
from cosmic.costs.workload import Workload


@dataclass(frozen=True)
class Tuning:
    """What a job takes on Lambda, and how best to run it.

    Attributes:
        job: What is to be predicted.
        measured: How fast its model runs.
        platform: Where the times and costs are predicted for.
        advice: The configurations that are recommended, and the curve between them.
    """

    job: Job
    measured: Measured
    platform: Platform
    advice: Advice

    @property
    def recommended(self) -> dict[str, Prediction]:
        """The recommended configuration for each aim."""
        return {
            "fastest": self.advice.fastest,
            "cheapest": self.advice.cheapest,
            "best_value": self.advice.best_value,
        }

    def document(self) -> dict[str, Any]:
        """All of it as JSON, as `cosmic tune --json` prints it; `cosmic plan --from` takes it."""
        rows = self.job.rows
        return {
            "version": 1,
            "job": {k: v for k, v in asdict(self.job).items() if k != "partitions"},
            "measured": self.measured.model_dump(mode="json"),
            "modelled": {
                "platform": asdict(self.platform),
                "recommended": {
                    name: {**p.as_dict(rows), "bill": bill_document(list(p.lines), rows)}
                    for name, p in self.recommended.items()
                },
                "curve": [p.as_dict(rows) for p in self.advice.curve],
                "considered": self.advice.considered[0],
                "within_constraints": self.advice.considered[1],
            },
        }


def tune(
    work: Workload,
    measured: Measured,
    constraints: Constraints,
    *,
    cold: bool = True,
    vcpu_speed: float = 1.0,
) -> Tuning:
    """Predict duration, memory and cost of a job on Lambda, and recommend configurations.

    Args:
        work: What is to be predicted: `of_rows`, `of_folder` or `of_manifest` of
            `cosmic.costs.workload`.
        measured: The model's figures: `cosmic.measure` measures them here.
        constraints: What the account and the user allow.
        cold: Whether environments have to be started.
        vcpu_speed: A Lambda vCPU's speed; that of a core of this machine is 1.

    Raises:
        InputError: nothing meets the constraints; the message says how far off the nearest is.
    """
    job = replace(work.job, cold=cold)
    platform = replace(LAMBDA, vcpu_speed=vcpu_speed)
    advice = advise(job, measured, platform, constraints, work.partition_rows)
    return Tuning(job, measured, platform, advice)
