"""The page's tables: what the figures show, in numbers, and what no figure shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.flags import MEANINGS, Flag
from cosmic.contracts.rank_record import RankRecord
from cosmic.report.formatting import count, percent, real, seconds, short, signed
from cosmic.report.histograms import Binned
from cosmic.report.left_out import left_out
from cosmic.report.phases import Timeline

FIRST_ENTRIES = 25
SLOWEST_RANKS = 10
COARSE_ROWS = 12


@dataclass(frozen=True)
class Table:
    """A table of text; its first `labels` columns are left-aligned words, the rest numbers."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1


def metrics_table(photo_z: dict[str, Any]) -> Table:
    """All metrics of the redshifts, in both conventions."""
    pasquet, rail = photo_z["pasquet"], photo_z["rail"]
    rows = (
        ("σ_NMAD", "both", "1.4826 · median(|dz − median(dz)|)", real(photo_z["sigma_nmad"], 5)),
        ("mean bias", "Pasquet", "mean of dz", signed(pasquet["bias_mean"], 5)),
        ("precision", "Pasquet", "1.48 · MAD", real(pasquet["precision"], 5)),
        ("outliers", "Pasquet", "|dz| > 0.05", percent(pasquet["outliers_0.05"])),
        ("outliers", "Pasquet", "|dz| > 0.15", percent(pasquet["outliers_0.15"])),
        ("median bias", "RAIL", "median of dz", signed(rail["bias_median"], 5)),
        ("σ from the IQR", "RAIL", "IQR / 1.349", real(rail["sigma_iqr"], 5)),
        ("outliers", "RAIL", "|dz| > max(0.06, 3 σ_IQR)", percent(rail["outliers"])),
        ("MAE", "of z", "mean |z_phot − z_spec|", real(photo_z["mae"], 5)),
        ("RMSE", "of z", "root of the mean square", real(photo_z["rmse"], 5)),
        ("R²", "of z", "1 − residual / total sum of squares", real(photo_z["r2"], 5)),
    )
    caption = f"Metrics of the {photo_z['n']:,} objects that have both redshifts"
    if reasons := left_out(photo_z):
        caption += f"; left out: {', '.join(reasons)}"
    return Table(caption, ("metric", "convention", "definition", "value"), rows, labels=3)


def binned_table(photo_z: dict[str, Any], by: str, name: str) -> Table:
    """Bias, sigma_NMAD and outliers by bin; bins of few objects have their number only."""
    rows = tuple(
        (
            f"{b['from']:g} – {b['to']:g}",
            count(b["n"]),
            *(
                f"{signed(b[m])} ± {real(b[f'{m}_err'])}" if m in b else "–"
                for m in ("bias_median", "sigma_nmad")
            ),
            f"{percent(b['outliers_0.05'])} ± {percent(b['outliers_0.05_err'])}"
            if "outliers_0.05" in b
            else "–",
        )
        for b in photo_z["bins"][by]
    )
    head = (name, "objects", "bias (median dz)", "σ_NMAD", "|dz| > 0.05")
    return Table(f"Metrics by {name}, with standard errors", head, rows)


def n_of_z_table(binned: Binned) -> Table:
    """The distribution of both redshifts in a few coarse bins."""
    width = len(binned.n_z_phot) // COARSE_ROWS
    rows = tuple(
        (
            f"{binned.nz_edges[i]:.3f} – {binned.nz_edges[i + width]:.3f}",
            count(sum(binned.n_z_spec[i : i + width])),
            count(sum(binned.n_z_phot[i : i + width])),
        )
        for i in range(0, len(binned.n_z_phot), width)
    )
    return Table("Objects by redshift", ("redshift", "by z_spec", "by z_phot"), rows)


def phases_table(line: Timeline) -> Table:
    """Seconds of each phase over all ranks."""
    rows = tuple(
        (
            name,
            seconds(float(np.min(spent))),
            seconds(float(np.median(spent))),
            seconds(float(np.max(spent))),
            seconds(float(np.sum(spent))),
            str(line.ranks[np.argmax(spent)]),
        )
        for name, spent in line.durations().items()
    )
    head = ("phase", "least", "median", "most", "summed over ranks", "rank with the most")
    return Table("Where the time of the ranks went", head, rows)


def slowest_of(line: Timeline, records: Iterable[RankRecord]) -> tuple[RankRecord, ...]:
    """The records of the ranks that ended last."""
    named = set(line.ranks[_last(line)].tolist())
    return tuple(record for record in records if record.rank in named)


def slowest_table(line: Timeline, slowest: Sequence[RankRecord]) -> Table:
    """The ranks that ended last, the last of all first."""
    by_rank = {r.rank: r for r in slowest}
    rows = tuple(_slow_row(by_rank[int(line.ranks[i])], line, int(i)) for i in _last(line))
    head = ("rank", "marks", "ended after", "objects", "rows/s", "peak memory", "FMI")
    return Table("The ranks that ended last", head, rows, labels=2)


def _last(line: Timeline) -> NDArray[np.int64]:
    return np.argsort(-line.edges[:, -1], kind="stable")[:SLOWEST_RANKS]


def _slow_row(record: RankRecord, line: Timeline, i: int) -> tuple[str, ...]:
    marks = [f"attempt {record.attempt + 1}"] if record.attempt else []
    marks += ["straggler"] if line.stragglers[i] else []
    marks += ["cold start"] if record.cold_start else []
    return (
        str(record.rank),
        ", ".join(marks) or "–",
        seconds(float(line.edges[i, -1])),
        count(record.rows),
        count(record.rows_per_s),
        f"{record.peak_memory_mb} of {record.memory_mb} MB",
        short(record.fmi + (f": {record.fmi_error}" if record.fmi_error else ""), 120),
    )


def bill_table(bill: dict[str, Any]) -> Table:
    """The bill, line by line."""
    rows = tuple((x["item"], x["formula"], f"${x['usd']:.6f}") for x in bill["lines"])
    total = ("Total", "sum of the lines", f"${bill['usd']:.6f}")
    return Table("The bill", ("item", "formula", "US dollars"), (*rows, total), labels=2)


def flags_table(counts: dict[str, int]) -> Table:
    """Rows by flag."""
    rows = tuple(
        (str(flag.value), MEANINGS[flag], count(counts.get(flag.name or "", 0))) for flag in Flag
    )
    return Table("Objects by flag", ("flag", "meaning", "objects"), rows, labels=2)


def flagged_table(flagged: Sequence[dict[str, Any]], of: int) -> Table:
    """The first flagged rows."""
    rows = tuple(
        (
            str(row["object_id"]),
            str(row["partition"]),
            str(row["row"]),
            str(row["flags"]),
            *(real(row[name]) for name in ("z_phot", "z_phot_err", "z_spec")),
        )
        for row in flagged
    )
    head = ("object_id", "partition", "row", "flags", "z_phot", "z_phot_err", "z_spec")
    return Table(f"The first {len(rows)} of {count(of)} flagged objects", head, rows)


def missing_table(missing: Sequence[dict[str, Any]]) -> Table:
    """Ranks without predictions."""
    rows = tuple(
        (str(m["rank"]), short(m["reason"]), count(m["rows"])) for m in missing[:FIRST_ENTRIES]
    )
    lost = sum(m["rows"] for m in missing)
    caption = f"Ranks without predictions: {count(len(missing))}, with {count(lost)} objects"
    if len(rows) < len(missing):
        caption += f"; the first {len(rows)}"
    return Table(caption, ("rank", "why", "objects"), rows, labels=2)
