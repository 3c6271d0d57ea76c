"""A chart as inline SVG: small, described, and in the page's own colours and fonts.

Text stays text, and its width is only estimated here: the page's font is the reader's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from cosmic.report.chart import (
    FONT_PT,
    SMALL_PT,
    Boxes,
    Chart,
    Line,
    Mark,
    Panel,
    Pointers,
    ShadeKey,
    Steps,
)
from cosmic.report.svg_marks import Frame, draw_mark, fill, stroke
from cosmic.report.ticks import ticks

EM = 0.64  # of a character, in DejaVu Sans, which is wide
TICK, GAP, ROW = 3.0, 2.5, 12.0
RIGHT, TOP, BETWEEN = 13.0, 7.0, 9.0


def inline_svg(chart: Chart, name: str, title: str, description: str) -> str:
    """The chart as an `<svg>` element for an HTML page.

    Args:
        chart: What to draw.
        name: Unique in the page; its ids begin with it.
        title: What a screen reader calls it.
        description: What it shows, in a sentence.
    """
    parts = [
        f'<svg viewBox="0 0 {chart.width:g} {chart.height:g}" role="img"',
        f' aria-labelledby="{name}-title {name}-text">',
        f'<title id="{name}-title">{escape(title)}</title>',
        f'<desc id="{name}-text">{escape(description)}</desc>',
        *_chart_legend(chart),
    ]
    for i, (panel, frame) in enumerate(_laid_out(chart)):
        last = i == len(chart.panels) - 1
        parts += _panel(panel, frame, f"{name}-clip-{i}", labelled=last)
    return "".join(parts) + "</svg>"


def _wide(text: str, size: float = FONT_PT) -> float:
    return EM * size * len(text)


def _laid_out(chart: Chart) -> Iterator[tuple[Panel, Frame]]:
    labels = [label for panel in chart.panels for _, label in ticks(panel.y)]
    left = FONT_PT + 3 * GAP + max(map(_wide, labels), default=0.0) + TICK + GAP
    top = TOP + ROW * len(_legend_rows(chart))
    below = TICK + GAP + FONT_PT + GAP + FONT_PT + 3 * GAP
    free = chart.height - top - below - BETWEEN * (len(chart.panels) - 1)
    each = free / sum(panel.share for panel in chart.panels)
    for panel in chart.panels:
        height = each * panel.share
        yield panel, Frame(left, top, chart.width - left - RIGHT, height, panel.x, panel.y)
        top += height + BETWEEN


def _panel(panel: Panel, frame: Frame, clip: str, *, labelled: bool) -> Iterator[str]:
    """Grid, marks, axes and words, in this order."""
    x_ticks, y_ticks = ticks(panel.x), ticks(panel.y)
    yield from _grid(panel, frame, [at for at, _ in x_ticks], [at for at, _ in y_ticks])
    box = f'x="{frame.left:.1f}" y="{frame.top:.1f}" width="{frame.width:.1f}"'
    yield f'<clipPath id="{clip}"><rect {box} height="{frame.height:.1f}"/></clipPath>'
    yield f'<g clip-path="url(#{clip})">'
    for mark in panel.marks:
        yield from draw_mark(mark, frame)
    yield "</g>"
    yield from _names(panel, frame)
    yield from _x_axis(panel, frame, x_ticks if labelled else [(at, "") for at, _ in x_ticks])
    yield from _y_axis(panel, frame, y_ticks)
    yield from _words(panel, frame)
    if panel.key:
        yield from _shade_key(panel.key, frame)
    yield from _legend(panel, frame)


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _grid(panel: Panel, frame: Frame, x: Sequence[float], y: Sequence[float]) -> Iterator[str]:
    x, y = (x if panel.x.grid else ()), (y if panel.y.grid else ())
    lines = [f"M{at} {frame.top:.1f}v{frame.height:.1f}" for at in frame.x(x)]
    lines += [f"M{frame.left:.1f} {at}h{frame.width:.1f}" for at in frame.y(y)]
    if lines:
        yield f'<path d="{"".join(lines)}" {stroke("rule", 0.6)}/>'


def _x_axis(panel: Panel, frame: Frame, marks: Sequence[tuple[float, str]]) -> Iterator[str]:
    low = frame.top + frame.height
    places = frame.x([at for at, _ in marks])
    path = "".join(f"M{at} {low:.1f}v{TICK:g}" for at in places)
    yield f'<path d="M{frame.left:.1f} {low:.1f}h{frame.width:.1f}{path}" {stroke("muted")}/>'
    below = low + TICK + GAP + 0.8 * FONT_PT
    for at, (_, label) in zip(places, marks, strict=True):
        if label:
            yield _text(at, below, label, "middle")
    if any(label for _, label in marks):
        middle = frame.left + frame.width / 2
        yield _text(middle, below + FONT_PT + 2 * GAP, panel.x.label, "middle")


def _y_axis(panel: Panel, frame: Frame, marks: Sequence[tuple[float, str]]) -> Iterator[str]:
    places = frame.y([at for at, _ in marks])
    path = "".join(f"M{frame.left:.1f} {at}h{-TICK:g}" for at in places)
    axis = f"M{frame.left:.1f} {frame.top:.1f}v{frame.height:.1f}"
    yield f'<path d="{axis}{path}" {stroke("muted")}/>'
    for at, (_, label) in zip(places, marks, strict=True):
        yield _text(frame.left - TICK - GAP, at + 0.35 * FONT_PT, label, "end")
    x, y = FONT_PT + GAP, frame.top + frame.height / 2
    yield _text(x, y, panel.y.label, "middle", f' transform="rotate(-90 {x:.1f} {y:.1f})"')


def _names(panel: Panel, frame: Frame) -> Iterator[str]:
    """Names beside pointers, outside of the clipped area."""
    for mark in panel.marks:
        if isinstance(mark, Pointers):
            anchor, aside = ("start", 6.0) if mark.left else ("end", -6.0)
            for x, y, name in zip(frame.x(mark.x), frame.y(mark.y), mark.names, strict=False):
                yield _text(x + aside, y + 2.8, name, anchor)


def _words(panel: Panel, frame: Frame) -> Iterator[str]:
    x, low = frame.left + 0.97 * frame.width, frame.top + 0.95 * frame.height
    for i, line in enumerate(reversed(panel.words)):
        yield _text(x, low - ROW * i, line, "end")


def _shade_key(key: ShadeKey, frame: Frame) -> Iterator[str]:
    each = 0.46 * frame.width / len(key.colours)
    left, top = frame.left + 0.04 * frame.width, frame.top + ROW
    yield _text(left, top - 3, key.title, more=' class="small"')
    for i, colour in enumerate(key.colours):
        box = f'x="{left + i * each:.1f}" y="{top:.1f}" width="{each:.1f}" height="7"'
        yield f"<rect {box} {fill(colour)}/>"
    for i, label in key.labels:
        yield _text(left + (i + 0.5) * each, top + 15.5, label, "middle", ' class="small"')


def _legend(panel: Panel, frame: Frame) -> Iterator[str]:
    """Labelled marks, in columns as wide as the widest label."""
    shown = [mark for mark in panel.marks if mark.label] if panel.legend_at else []
    wide = max((_wide(mark.label, SMALL_PT) for mark in shown), default=0.0) + 26
    rows = -(-len(shown) // panel.columns)
    lower = panel.legend_at.startswith("lower")
    top = frame.top + frame.height - ROW * rows if lower else frame.top + 8
    for i, mark in enumerate(shown):
        x = frame.left + 6 + wide * (i % panel.columns)
        y = top + ROW * (i // panel.columns)
        yield _swatch(mark, x, y)
        yield _text(x + 19, y + 2.8, mark.label, more=' class="small"')


def _swatch(mark: Mark, x: float, y: float) -> str:
    """The mark in small, as tall as its label."""
    if isinstance(mark, Boxes) or (isinstance(mark, Steps) and mark.filled):
        return f'<path d="M{x:.1f} {y - 3:.1f}h15v6h-15z" {fill(mark.colour)}/>'
    if isinstance(mark, Pointers):
        tip = -4 if mark.left else 4
        return f'<path d="M{x + 9:.1f} {y:.1f}l{-tip} -2.6v5.2z" {fill(mark.colour)}/>'
    width, dashed = (mark.width, mark.dashed) if isinstance(mark, Line) else (1.4, False)
    return f'<path d="M{x:.1f} {y:.1f}h15" {stroke(mark.colour, width, dashed=dashed)}/>'


def _legend_rows(chart: Chart) -> list[list[tuple[float, str, str]]]:
    """The chart's legend in rows that fit: offset, colour, name."""
    rows: list[list[tuple[float, str, str]]] = []
    at = chart.width
    for colour, name in chart.legend:
        wide = _wide(name) + 19
        if at + wide > chart.width - RIGHT:
            rows.append([])
            at = FONT_PT
        rows[-1].append((at, colour, name))
        at += wide
    return rows


def _chart_legend(chart: Chart) -> Iterator[str]:
    for i, row in enumerate(_legend_rows(chart)):
        y = TOP + 0.3 * ROW + ROW * i
        for x, colour, name in row:
            yield f'<path d="M{x:.1f} {y - 3:.1f}h9v6h-9z" {fill(colour)}/>'
            yield _text(x + 12, y + 2.8, name)
