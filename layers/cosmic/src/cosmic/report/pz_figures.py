"""Two figures of how well p(z) holds, from `pz` of metrics.json; pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmic.report.chart import Axis, Chart, Panel, Points, Steps, level
from cosmic.report.tables import Table

HEIGHT = 187.0


def pit_chart(pz: dict[str, Any]) -> Chart:
    """The histogram of the probability integral transform, as a density; 1 if p(z) holds."""
    edges, counts = np.array(pz["pit"]["edges"]), np.array(pz["pit"]["counts"])
    expected = pz["n"] * np.diff(edges)
    noise = 2 * np.sqrt((1 - np.diff(edges)) / expected)
    top = max(2.0, 1.25 * float((counts / expected).max()))
    x = Axis("cumulative p(z) at z_spec", 0.0, 1.0)
    chance = Steps(edges, 1 + noise, "rule", filled=True, base=1 - noise, label="1 ± 2σ")
    objects = Steps(edges, counts / expected, "phot", label="objects")
    marks = (chance, objects, level(1.0, x))
    panel = Panel(x, Axis("density", 0.0, top), marks, legend_at="upper left", columns=2)
    return Chart((panel,), height=HEIGHT)


def coverage_chart(pz: dict[str, Any]) -> Chart:
    """Which share of the objects lies inside the intervals, less the share that should."""
    names = list(pz["coverage"])
    stated = np.array([float(name) for name in names])
    off = 100 * np.array([pz["coverage"][name] for name in names]) - stated
    noise = 2 * np.sqrt(stated * (100 - stated) / pz["n"])
    at = np.arange(len(names))
    most = max(3.0, 1.15 * float((np.abs(off) + noise).max()))
    named = tuple((float(i), f"{name} %") for i, name in enumerate(names))
    x = Axis("stated share inside the interval", -0.6, len(names) - 0.4, named)
    y = Axis("inside less stated (points)", -most, most, grid=True)
    points = Points(at, off, noise, np.zeros(len(at)), "phot")
    return Chart((Panel(x, y, (level(0.0, x), points)),), height=HEIGHT)


def pz_table(pz: dict[str, Any]) -> Table:
    """The same in numbers, and the scores."""
    rows = [
        (f"inside the {name} % interval", f"{100 * share:.1f} %")
        for name, share in pz["coverage"].items()
    ]
    rows += [("mean CRPS", f"{pz['crps']:.5f}"), ("CDE loss", f"{pz['cde_loss']:.2f}")]
    return Table("Metrics of p(z)", ("quantity", "value"), tuple(rows))
