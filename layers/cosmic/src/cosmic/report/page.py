"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cosmic.report.chart import Chart
from cosmic.report.chart_svg import inline_svg
from cosmic.report.cutout import Cutout
from cosmic.report.density import density_chart
from cosmic.report.document import ReportDocument
from cosmic.report.domain_words import domain_words
from cosmic.report.figures import BINNED_BY, binned_chart, n_of_z_chart, residual_chart
from cosmic.report.formatting import count, dollars, percent, real, seconds, short
from cosmic.report.headline import headline
from cosmic.report.left_out import why_no_metrics
from cosmic.report.maps import magnitude_chart, sky_chart
from cosmic.report.palette import DARK, LIGHT, css_variables
from cosmic.report.phases import Timeline, peak_concurrency
from cosmic.report.pz_figures import coverage_chart, pit_chart, pz_table
from cosmic.report.tables import (
    FIRST_ENTRIES,
    Table,
    bill_table,
    binned_table,
    flagged_table,
    flags_table,
    metrics_table,
    missing_table,
    n_of_z_table,
    phases_table,
    slowest_table,
)
from cosmic.report.timeline_figure import BANDS, LINES, timeline_chart

MAX_PAGE_BYTES = 600_000


@dataclass(frozen=True)
class Picture:
    """A figure in the page, with its caption and the same in numbers."""

    name: str
    title: str
    svg: Markup
    caption: str
    table: Table | None = None


def page(document: ReportDocument) -> str:
    """The page as HTML, at most `MAX_PAGE_BYTES` long whatever the run.

    Everything in the document is text to it: whatever it holds is shown, never interpreted.
    """
    environment = Environment(
        loader=PackageLoader("cosmic.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count, real=real, dollars=dollars, percent=percent, seconds=seconds, short=short
    )
    line = document.timeline.line()
    redshifts, ranks = _redshift_pictures(document), _rank_pictures(line)
    photo_z = document.metrics["photo_z"]
    return environment.get_template("report.html.j2").render(
        run=document.status.run,
        status=document.status,
        metrics=document.metrics,
        headline=headline(document),
        light=Markup(css_variables(LIGHT)),  # noqa: S704 - constants
        dark=Markup(css_variables(DARK)),  # noqa: S704 - constants
        redshifts=redshifts,
        ranks=ranks,
        gallery=_gallery(document),
        metrics_table=metrics_table(photo_z) if photo_z["n"] else None,
        rank_tables=_rank_tables(document, line),
        domain=domain_words(document.metrics),
        why_no_metrics=why_no_metrics(photo_z),
        bill_table=bill_table(document.metrics["bill"]),
        flags_table=flags_table(document.flag_counts),
        flagged_table=flagged_table(document.flagged, document.status.rows_flagged or 0),
        missing_table=missing_table(document.status.missing),
        provenance=document.provenance,
        first=FIRST_ENTRIES,
    )


def _picture(
    chart: Chart, name: str, title: str, caption: str, table: Table | None = None
) -> Picture:
    svg = Markup(inline_svg(chart, name, title, caption))  # noqa: S704 - its text is escaped
    return Picture(name, title, svg, caption, table)


def _redshift_pictures(document: ReportDocument) -> list[Picture]:
    """Without spectroscopic redshifts there is nothing to compare: N(z) alone."""
    binned, photo_z = document.binned, document.metrics["photo_z"]
    of_z = _picture(
        n_of_z_chart(binned),
        "n-of-z",
        "N(z)",
        "How many objects lie at which redshift.",
        n_of_z_table(binned),
    )
    if not photo_z["n"]:
        return [of_z, *_maps(document)]
    density = _picture(
        density_chart(binned, photo_z),
        "density",
        "z_phot against z_spec",
        f"{binned.known:,} objects; the line is 1:1, dashes are at |dz| = 0.05, below is dz. "
        f"Objects outside the upper panel: {binned.density_outside:,}.",
    )
    residuals = _picture(
        residual_chart(binned, photo_z),
        "residuals",
        "Residuals",
        "A curve narrower than the histogram's wings means more outliers than a Gaussian has. "
        f"Objects outside the axes: {binned.residuals_outside:,}.",
    )
    calibration = _pz_pictures(document.metrics.get("pz") or {"n": 0})
    return [density, residuals, *calibration, of_z, *_binned_pictures(photo_z), *_maps(document)]


def _maps(document: ReportDocument) -> list[Picture]:
    """Where the objects are: in redshift and magnitude, and on the sky."""
    made = []
    if document.magnitudes:
        caption = f"All objects with both. Outside the axes: {document.magnitudes.outside:,}."
        chart = magnitude_chart(document.magnitudes)
        made.append(_picture(chart, "z-magnitude", "Redshift and magnitude", caption))
    if document.sky:
        caption = "All objects with a position, counted in cells of equal width in ra and dec."
        made.append(_picture(sky_chart(document.sky), "sky", "On the sky", caption))
    return made


def _gallery(document: ReportDocument) -> dict[str, list[Cutout]]:
    """The cutouts by group, in the order of the document."""
    groups: dict[str, list[Cutout]] = {}
    for cutout in document.cutouts:
        groups.setdefault(cutout.group, []).append(cutout)
    return groups


def _pz_pictures(pz: dict[str, Any]) -> list[Picture]:
    """Whether p(z) holds, where objects have both it and a z_spec."""
    if not pz["n"]:
        return []
    pit = _picture(
        pit_chart(pz),
        "pit",
        "PIT of p(z)",
        f"Where z_spec lies in p(z), of {pz['n']:,} objects, between the quantiles that the "
        "catalogue holds. Flat if p(z) is calibrated: high ends mean that it is too narrow, a "
        "high middle that it is too wide, a slope that it is shifted.",
    )
    coverage = _picture(
        coverage_chart(pz),
        "coverage",
        "Coverage of p(z)",
        "How many objects lie inside their central intervals, against the share that should, "
        "with 2σ of chance. Above 0 the intervals are too wide, below too narrow.",
        pz_table(pz),
    )
    return [pit, coverage]


def _binned_pictures(photo_z: dict[str, Any]) -> list[Picture]:
    return [
        _picture(
            binned_chart(photo_z, by),
            f"by-{by.replace('_', '-')}",
            f"Metrics by {name}",
            "Bias (median of dz), width and outlier rate with standard errors, each at the mean of "
            "its bin; bins of at least 10 objects.",
            binned_table(photo_z, by, name),
        )
        for by, name in BINNED_BY.items()
        if any("sigma_nmad" in b for b in photo_z["bins"][by])
    ]


def _rank_pictures(line: Timeline) -> list[Picture]:
    if not len(line.ranks):
        return []
    many = len(line.ranks)
    of = f"{many:,} ranks in {BANDS} bands: what most of each are doing. " if many > LINES else ""
    late = int(line.stragglers.sum())
    caption = (
        f"{of}Ranks at once: up to {peak_concurrency(line):,}; cold starts: "
        f"{int(line.cold.sum()):,}; tried again: {int(line.retried.sum()):,}; stragglers (1.25 "
        f"times the median, and a second more): {late:,}{', the slowest by number' if late else ''}"
        ". A rank's waits for rows are drawn together, before its computing."
    )
    return [_picture(timeline_chart(line), "timeline", "Timeline of the ranks", caption)]


def _rank_tables(document: ReportDocument, line: Timeline) -> list[Table]:
    if not len(line.ranks):
        return []
    return [phases_table(line), slowest_table(line, document.slowest)]
