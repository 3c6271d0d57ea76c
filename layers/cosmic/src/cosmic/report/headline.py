"""The numbers at the head of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cosmic.contracts.clocks import AWS
from cosmic.contracts.status import State, Status
from cosmic.report.document import ReportDocument
from cosmic.report.formatting import count, dollars, percent, real, seconds, short, signed
from cosmic.report.left_out import why_no_metrics


@dataclass(frozen=True)
class Tile:
    """A number, its name and what one should know of it."""

    name: str
    value: str
    note: str = ""


def headline(document: ReportDocument) -> list[Tile]:
    """Objects, quality, time and cost."""
    status, run = document.status, document.metrics["run"]
    bill = document.metrics["bill"]
    return [
        *_failure(status),
        Tile("objects", count(status.rows_out), f"of {count(status.rows_in)}; {_less(status)}"),
        *_quality(document.metrics["photo_z"]),
        Tile("wall time", seconds(run["wall_s"]), f"{count(run['rows_per_wall_s'])} objects/s"),
        Tile(
            "ranks",
            count(status.world_size),
            f"{count(run['cold_starts'])} cold, {count(run['retries'])} retries; FMI {status.fmi}",
        ),
        *_costs(bill),
    ]


def _failure(status: Status) -> list[Tile]:
    """What a failed run's numbers are of, before anything else."""
    if status.state is not State.FAILED:
        return []
    first = status.problems[0] if status.problems else {"code": "failed", "message": ""}
    note = f"{short(first['message'], 160)}; what follows covers only the rows that exist"
    return [Tile("this run failed", short(first["code"], 40), note)]


def _less(status: Status) -> str:
    """Rows that are missing, and those that are flagged."""
    lost = (status.rows_in or 0) - (status.rows_out or 0)
    missing = f"{count(lost)} missing, " if lost else ""
    return f"{missing}{count(status.rows_flagged)} flagged"


def _costs(bill: dict[str, Any]) -> list[Tile]:
    """The bill; priced by another machine's clock, it is called so, beside a prediction for AWS."""
    per_million = f"{dollars(bill['usd_per_million_rows'])} per million objects"
    if bill.get("clock", AWS) == AWS:
        return [Tile("cost on AWS", dollars(bill["usd"]), per_million)]
    here = Tile(
        "this machine's time", dollars(bill["usd"]), f"at AWS's prices, not a bill; {per_million}"
    )
    expected = bill.get("predicted_on_aws")
    if not expected:
        return [here]
    note = f"as the model expects from this run, in {seconds(expected['wall_s'])}"
    return [here, Tile("expected on AWS", dollars(expected["usd"]), note)]


def _quality(photo_z: dict[str, Any]) -> list[Tile]:
    if not photo_z["n"]:
        return [Tile("redshift metrics", "–", why_no_metrics(photo_z))]
    return [
        Tile("σ_NMAD", real(photo_z["sigma_nmad"], 5), f"{count(photo_z['n'])} with z_spec"),
        Tile("mean bias", signed(photo_z["pasquet"]["bias_mean"], 5), "mean of dz"),
        Tile("outliers", percent(photo_z["pasquet"]["outliers_0.05"]), "|dz| > 0.05"),
        Tile("R²", real(photo_z["r2"]), photo_z["undefined"].get("r2", "of z itself")),
    ]
