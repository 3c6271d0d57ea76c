"""Two figures of where the objects are: on the sky, and in redshift and magnitude; pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cosmic.report.cells import Cells
from cosmic.report.chart import Axis, Chart, Panel
from cosmic.report.density import shade_key, shade_limits, shaded_boxes
from cosmic.report.ticks import ticks

KEY_SPACE = 0.28  # of the axes' height, above what is drawn


def sky_chart(sky: Cells) -> Chart:
    """Where the objects are on the sky; ra grows to the left, as one looks at it."""
    axis = Axis("ra (degrees)", sky.x_edges[-1], sky.x_edges[0], grid=True)
    # The edges of a field across ra 0 begin below 0: its labels are ra all the same.
    labels = tuple((at, f"{at % 360:g}") for at, _ in ticks(axis))
    return _chart(sky, replace(axis, ticks=labels), "dec (degrees)")


def magnitude_chart(cells: Cells) -> Chart:
    """Which magnitude the objects have at which redshift."""
    return _chart(
        cells, Axis("z_phot", cells.x_edges[0], cells.x_edges[-1], grid=True), "r magnitude"
    )


def _chart(cells: Cells, x_axis: Axis, y_label: str) -> Chart:
    x, y, counts = np.array(cells.x_edges), np.array(cells.y_edges), np.array(cells.counts)
    limits = shade_limits(int(counts.max()))
    y_axis = Axis(y_label, y[0], float(y[-1] + KEY_SPACE * (y[-1] - y[0])), grid=True)
    marks = tuple(shaded_boxes(x, y, counts, limits))
    return Chart((Panel(x_axis, y_axis, marks, key=shade_key(limits)),))
