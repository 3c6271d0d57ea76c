"""Charts: round ticks, boxes where the cells are, and the same chart on the page and on paper."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from cosmic.metrics.photo_z import photo_z_metrics
from cosmic.report.cells import SkyCounts
from cosmic.report.chart import Axis, Boxes, Chart, Line, Panel, Points, Steps
from cosmic.report.chart_svg import inline_svg
from cosmic.report.density import density_chart, merged_boxes
from cosmic.report.figures import binned_chart
from cosmic.report.maps import sky_chart
from cosmic.report.page import MAX_PAGE_BYTES, page
from cosmic.report.paper_figures import write_plots
from cosmic.report.phases import PHASES, prevalent
from cosmic.report.ticks import ticks
from cosmic.report.timeline_figure import BANDS, SPANS, timeline_chart
from report_support.samples import sample, sample_redshifts


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis("x", 0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (Axis("x", 1.0, 0.0, most_ticks=2), ["0.0", "0.5", "1.0"]),
        (Axis("x", -0.06, 0.06, most_ticks=5), ["−0.050", "−0.025", "0.000", "0.025", "0.050"]),
        (Axis("x", -0.5, 3.5, whole=True), ["0", "1", "2", "3"]),
        (Axis("x", 0.0, 2600.0, counted=True, most_ticks=3), ["0", "1k", "2k"]),
        (Axis("x", 0.0, 3e38, most_ticks=3), ["0", "1e+38", "2e+38", "3e+38"]),
        (Axis("x", 0.0, 1.0, ticks=((0.5, "half"), (2.0, "beyond"))), ["half"]),
    ],
)
def test_ticks_are_round_and_inside(axis: Axis, labels: list[str]) -> None:
    found = ticks(axis)
    assert [label for _, label in found] == labels
    assert all(min(axis.low, axis.high) <= at <= max(axis.low, axis.high) for at, _ in found)


def test_cells_that_follow_each_other_are_one_box() -> None:
    inside = np.array([[True, True, False, True], [False, False, False, False]])
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 20.0, 30.0, 40.0])
    np.testing.assert_array_equal(merged_boxes(x, y, inside), [[0, 1, 0, 20], [0, 1, 30, 40]])


def chart_of(*marks: Line | Steps | Boxes) -> str:
    plain = Axis("", 0.0, 10.0, ticks=())
    panel = Panel(plain, plain, marks)
    return inline_svg(Chart((panel,), 100.0, 100.0), "c", "A <title>", "A & description")


def drawn(svg: str) -> list[str]:
    (inner,) = re.findall(r'<g clip-path="url\(#c-clip-0\)">(.*?)</g>', svg)
    return re.findall(r' d="([^"]*)"', inner)


def test_marks_lie_where_their_data_do() -> None:
    inner = re.search(r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', chart_of())
    assert inner is not None
    left, top, width, height = map(float, inner.groups())
    (box,) = drawn(chart_of(Boxes(np.array([[0.0, 5.0, 0.0, 10.0]]), "ink")))
    corners = [float(n) for n in re.findall(r"[\d.]+", box)]
    wanted = [left, top + height, left + width / 2, top, left]
    np.testing.assert_allclose(corners, wanted, atol=0.06)
    (line,) = drawn(chart_of(Line((0, np.nan, 10), (10, 5, 0), "ink")))
    ends = [float(n) for n in re.findall(r"[\d.]+", line)]
    np.testing.assert_allclose(ends, [left, top, left + width, top + height], atol=0.06)


def test_equal_steps_are_drawn_once_and_text_is_escaped() -> None:
    (outline,) = drawn(chart_of(Steps(np.arange(11), np.full(10, 4.0), "ink")))
    assert outline.count("H") == 1
    assert "A &lt;title&gt;" in chart_of()
    assert "A &amp; description" in chart_of()


def test_of_each_band_of_ranks_what_most_are_doing_is_found() -> None:
    line = sample(1000, 10_000_000).timeline.line()
    doing = prevalent(line, 10, 50)
    at = (np.arange(50) + 0.5) * line.end_s / 50
    for band in (0, 4, 9):
        edges = line.edges[100 * band : 100 * (band + 1)]
        for j in range(0, 50, 7):
            begun = (edges <= at[j]).sum(axis=1) - 1
            busy = np.bincount(begun[(begun >= 0) & (begun < len(PHASES))], minlength=len(PHASES))
            assert doing[band, j] == (busy.argmax() if busy.any() else -1)


def test_ten_thousand_ranks_are_bands_with_the_worst_by_number() -> None:
    document = sample(10_000, 50_000_000)
    line = document.timeline.line()
    upper = timeline_chart(line).panels[0]
    boxes = sum(len(mark.corners) for mark in upper.marks if isinstance(mark, Boxes))
    assert boxes <= BANDS * SPANS
    slowest = str(line.ranks[np.argmax(np.where(line.stragglers, line.edges[:, -1], 0))])
    text = page(document)
    assert len(text.encode()) <= MAX_PAGE_BYTES / 2
    assert re.search(rf"<text[^>]*>{slowest}</text>", text)


def test_two_thousand_ranks_are_no_longer_than_ten_thousand() -> None:
    assert len(page(sample(2000, 1_000_000)).encode()) <= MAX_PAGE_BYTES / 2


def test_the_same_charts_are_plots_on_paper(tmp_path: Path) -> None:
    z = sample_redshifts(3000)
    catalogue = tmp_path / "catalogue.parquet"
    pq.write_table(pa.table({"z_phot": z[0], "z_spec": z[1]}), catalogue)
    document = sample(1, 3000)
    photo_z = {**document.metrics["photo_z"], "bins": {"z_spec": [], "z_phot": [], "mag_r": []}}
    made = write_plots(catalogue, {"photo_z": photo_z}, tmp_path / "plots")
    assert [p.name for p in made] == [
        f"{name}.{kind}" for name in ("density", "residuals", "n-of-z") for kind in ("png", "pdf")
    ]
    assert {p.read_bytes()[:4] for p in made} == {b"\x89PNG", b"%PDF"}
    words = density_chart(document.binned, photo_z).panels[0].words
    assert words == ("N = 3,000", f"σ_NMAD = {photo_z['sigma_nmad']:.4f}")


def test_a_field_across_ra_0_is_labelled_with_ra() -> None:
    counts = SkyCounts()
    counts.see(pa.table({"ra": [350.0, 359.0, 1.0, 19.0], "dec": [0.0, 1.0, 2.0, 3.0]}))
    cells = counts.cells()
    assert cells is not None
    assert cells.x_edges[0] < 0
    (panel,) = sky_chart(cells).panels
    labels = [label for _, label in ticks(panel.x)]
    assert labels == ["350", "355", "0", "5", "10", "15"]


def test_metrics_in_bins_are_drawn_where_their_objects_are() -> None:
    z = np.full(20, 0.12, np.float32)
    metrics = photo_z_metrics(z, z, np.full(20, 17.25))
    chart = binned_chart(metrics, "mag_r")
    (points,) = (mark for mark in chart.panels[1].marks if isinstance(mark, Points))
    np.testing.assert_array_equal(points.x, [17.25])
    np.testing.assert_array_equal(points.x_error, [[0.25], [0.75]])


def test_the_mean_of_a_bin_whose_sum_is_rounded_lies_inside() -> None:
    edge = np.full(10, 0.15)
    (found,) = photo_z_metrics(edge, edge, edge)["bins"]["z_phot"]
    assert (found["from"], found["mean"]) == (0.15, 0.15)
