"""The timeline of all ranks, and under it how many were doing what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosmic.report.chart import FONT_PT, Axis, Boxes, Chart, Mark, Panel, Pointers, Steps
from cosmic.report.density import merged_boxes
from cosmic.report.palette import css_name
from cosmic.report.phases import PHASES, Timeline, concurrency, prevalent

LINES = 300
BANDS, SPANS = 100, 240
AIRY_LINES = 60
WIDTH, CURVE_HEIGHT, MARGINS = 590.0, 115.0, 65.0
MARKED = 60
NAMED = 6


def timeline_chart(line: Timeline) -> Chart:
    """One line per rank, in order of rank; above `LINES` ranks, what most of a band are doing."""
    height = float(np.clip(12.2 * len(line.ranks), 50.0, 331.0))
    end_s = max(line.end_s, 1e-6)
    x = Axis("seconds since the first rank was queued", -0.025 * end_s, 1.07 * end_s, grid=True)
    boxes = _lines(line) if len(line.ranks) <= LINES else _bands(line)
    pad = max(0.7, 0.012 * len(line.ranks))
    y = Axis("rank", line.ranks[-1] + pad, line.ranks[0] - pad, whole=True, most_ticks=6)
    marks = (*boxes, *_pointers(line))
    upper = Panel(x, y, marks, height, legend_at="lower left", columns=2)
    return Chart(
        (upper, _curve(line, x)),
        width=WIDTH,
        height=height + CURVE_HEIGHT + MARGINS,
        legend=tuple((css_name(name), name) for name in PHASES),
    )


def _lines(line: Timeline) -> list[Boxes]:
    """A box per rank and phase that is long enough to be seen."""
    gap = 0.14 if len(line.ranks) <= AIRY_LINES else 0.0
    made = []
    for i, name in enumerate(PHASES):
        spans = line.edges[:, i : i + 2]
        long = spans[:, 1] - spans[:, 0] > line.end_s / 20_000
        low = line.ranks[long] - 0.5 + gap
        corners = np.stack([*spans[long].T, low, low + 1 - 2 * gap], axis=1)
        made += [Boxes(corners, css_name(name))] if long.any() else []
    return made


def _bands(line: Timeline) -> list[Boxes]:
    """Bands of ranks by spans of time, in the colour of what most of the band are doing."""
    doing = prevalent(line, BANDS, SPANS)
    at = np.linspace(0.0, line.end_s, SPANS + 1)
    ranks = np.linspace(line.ranks[0] - 0.5, line.ranks[-1] + 0.5, BANDS + 1)
    boxes = [(name, merged_boxes(ranks, at, doing == i)) for i, name in enumerate(PHASES)]
    return [Boxes(box[:, [2, 3, 0, 1]], css_name(name)) for name, box in boxes if len(box)]


def _pointers(line: Timeline) -> list[Mark]:
    """Point at retried ranks and at stragglers, the slowest ones first if there are many."""
    off = line.end_s * 0.006
    again, late = _slowest(line, line.retried), _slowest(line, line.stragglers)
    named = _apart(line, late)
    late = np.concatenate([named, np.setdiff1d(late, named)])
    names = tuple(str(rank) for rank in line.ranks[named])
    begin, end = line.edges[again, 0] - off, line.edges[late, -1] + off
    retried = Pointers(begin, line.ranks[again], "spec", left=False, label="retried")
    straggler = Pointers(end, line.ranks[late], "ink", left=True, label="straggler", names=names)
    return [mark for mark in (retried, straggler) if np.size(mark.x)]


def _slowest(line: Timeline, which: NDArray[np.bool_]) -> NDArray[np.int64]:
    found = np.flatnonzero(which)
    return found[np.argsort(-line.edges[found, -1], kind="stable")][:MARKED]


def _apart(line: Timeline, found: NDArray[np.int64]) -> NDArray[np.int64]:
    """The slowest whose names have room beside each other."""
    room = max(1.0, len(line.ranks) * 1.6 * FONT_PT / 331.0)
    named: list[int] = []
    for i in found.tolist():
        if all(abs(i - other) >= room for other in named) and len(named) < NAMED:
            named.append(i)
    return np.array(named, np.int64)


def _curve(line: Timeline, x: Axis) -> Panel:
    at, counts = concurrency(line)
    edges = np.append(at, at[-1])
    base = np.zeros(len(at))
    marks = []
    for name, busy in counts.items():
        marks.append(Steps(edges, base + busy, css_name(name), filled=True, base=base))
        base = base + busy
    top = max(1.0, 1.05 * max(float(np.max(mark.values, initial=0.0)) for mark in marks))
    y = Axis("ranks at once", 0.0, top, whole=True, most_ticks=4, grid=True)
    return Panel(x, y, tuple(marks), CURVE_HEIGHT)
