"""Two figures of where the objects are: on the sky, and in redshift and magnitude; pure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cosmic.report.cells import Cells
from cosmic.report.density import draw_cells, shade_key, shade_limits
from cosmic.report.style import new_figure

KEY_SPACE = 0.28  # of the axes' height, above what is drawn


def sky_figure(sky: Cells) -> Figure:
    """Where the objects are on the sky; ra grows to the left, as one looks at it."""
    figure = _figure(sky, "ra (degrees)", "dec (degrees)")
    figure.axes[0].invert_xaxis()
    return figure


def magnitude_figure(cells: Cells) -> Figure:
    """Which magnitude the objects have at which redshift."""
    return _figure(cells, "z_phot", "r magnitude")


def _figure(cells: Cells, x_label: str, y_label: str) -> Figure:
    figure = new_figure()
    axes = figure.subplots()
    x, y, counts = np.array(cells.x_edges), np.array(cells.y_edges), np.array(cells.counts)
    limits = shade_limits(int(counts.max()))
    draw_cells(axes, x, y, counts, limits)
    top = y[-1] + KEY_SPACE * (y[-1] - y[0])
    axes.set(xlabel=x_label, ylabel=y_label, xlim=x[[0, -1]], ylim=(y[0], top))
    axes.grid(visible=True)
    shade_key(axes, limits)
    return figure
