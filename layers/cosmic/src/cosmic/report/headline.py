"""The numbers at the head of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cosmic.report.document import ReportDocument
from cosmic.report.formatting import count, dollars, percent, real, seconds, signed
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
    lost = (status.rows_in or 0) - (status.rows_out or 0)
    return [
        Tile(
            "objects",
            count(status.rows_out),
            f"of {count(status.rows_in)}; "
            + (f"{count(lost)} missing" if lost else f"{count(status.rows_flagged)} flagged"),
        ),
        *_quality(document.metrics["photo_z"]),
        Tile("wall time", seconds(run["wall_s"]), f"{count(run['rows_per_wall_s'])} objects/s"),
        Tile(
            "ranks",
            count(status.world_size),
            f"{count(run['cold_starts'])} cold, {count(run['retries'])} retries; FMI {status.fmi}",
        ),
        Tile(
            "cost on AWS",
            dollars(bill["usd"]),
            f"{dollars(bill['usd_per_million_rows'])} per million objects",
        ),
    ]


def _quality(photo_z: dict[str, Any]) -> list[Tile]:
    if not photo_z["n"]:
        return [Tile("redshift metrics", "–", why_no_metrics(photo_z))]
    return [
        Tile("σ_NMAD", real(photo_z["sigma_nmad"], 5), f"{count(photo_z['n'])} with z_spec"),
        Tile("bias", signed(photo_z["pasquet"]["bias_mean"], 5), "mean of dz"),
        Tile("outliers", percent(photo_z["pasquet"]["outliers_0.05"]), "|dz| > 0.05"),
        Tile("R²", real(photo_z["r2"]), photo_z["undefined"].get("r2", "of z itself")),
    ]
