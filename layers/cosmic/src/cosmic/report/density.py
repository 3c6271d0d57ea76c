"""z_phot against z_spec as a density, with the residuals under it; cells of any plane by shade."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.metrics.photo_z import OUTLIERS_AT
from cosmic.report.chart import Axis, Boxes, Chart, Line, Mark, Panel, ShadeKey, level
from cosmic.report.formatting import real, short_count
from cosmic.report.histograms import Binned
from cosmic.report.palette import SHADES

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def density_chart(binned: Binned, photo_z: dict[str, Any]) -> Chart:
    """The density of objects in z_spec and z_phot with the 1:1 line, and of dz in z_spec.

    Dashed lines are where |dz| is 0.05, beyond which objects count as outliers; N and sigma_NMAD
    stand beside.

    Each shade holds counts up to the number at its right end, evenly spaced in their logarithm.
    """
    z, dz = np.array(binned.z_edges), np.array(binned.dz_edges)
    counts, dz_counts = np.array(binned.density), np.array(binned.dz_density)
    limits = shade_limits(int(max(counts.max(), dz_counts.max())))
    ends = z[[0, -1]]
    below = Axis("z_spec", z[0], z[-1], grid=True)
    phot = Axis("z_phot", z[0], z[-1], grid=True)
    off = Axis("dz", dz[0], dz[-1], grid=True, most_ticks=4)
    sides = (-OUTLIERS_AT[0], OUTLIERS_AT[0])
    outer = [Line(ends, ends + s * (1 + ends), "muted", 0.8, dashed=True) for s in sides]
    same = Line(ends, ends, "spec", 0.9)
    upper: tuple[Mark, ...] = (*shaded_boxes(z, z, counts, limits), same, *outer)
    zero = level(0.0, below, "spec", dashed=False)
    around = [level(side, below) for side in sides]
    lower: tuple[Mark, ...] = (*shaded_boxes(z, dz, dz_counts, limits), zero, *around)
    words = (f"N = {photo_z['n']:,}", f"σ_NMAD = {real(photo_z['sigma_nmad'], 4)}")
    density = Panel(below, phot, upper, share=3, words=words, key=shade_key(limits))
    return Chart((density, Panel(below, off, lower)), height=331.0)


def shade_limits(most: int) -> Counts:
    """The largest count of each shade: rising, `most` the last; as many as `SHADES` or fewer."""
    if most < 1:
        return np.array([1])
    each = np.round(np.geomspace(1, most, len(SHADES))).astype(np.int64)
    return np.array(sorted(set(each.tolist())))  # np.unique imports numpy.ma, for a tenth of a page


def shaded_boxes(x: Floats, y: Floats, counts: Counts, limits: Counts) -> list[Boxes]:
    """Cells (len(x) - 1, len(y) - 1) as boxes by shade; neighbours in y become one box."""
    shades = np.where(counts > 0, np.searchsorted(limits, counts) + 1, 0)
    return [
        Boxes(merged_boxes(x, y, shades == shade), _colour(shade, limits))
        for shade in range(1, len(limits) + 1)
        if (shades == shade).any()
    ]


def merged_boxes(x: Floats, y: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Boxes (N, 4), as long in y as can be, of cells `inside` (len(x) - 1, len(y) - 1)."""
    steps = np.diff(np.pad(inside.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    column, first = np.nonzero(steps == 1)
    _, after = np.nonzero(steps == -1)
    return np.stack([x[column], x[column + 1], y[first], y[after]], axis=1)


def _colour(shade: int, limits: Counts) -> str:
    """The shade's colour; few shades are spread over the whole scale."""
    last = len(SHADES) - 1
    at = last if len(limits) == 1 else round((shade - 1) * last / (len(limits) - 1))
    return SHADES[at]


def shade_key(limits: Counts) -> ShadeKey:
    """The shades with their limits."""
    shown = sorted({0, len(limits) // 2, len(limits) - 1})
    labels = tuple((i, short_count(float(limits[i]))) for i in shown)
    colours = tuple(_colour(i + 1, limits) for i in range(len(limits)))
    return ShadeKey("objects in a cell, up to", colours, labels)
