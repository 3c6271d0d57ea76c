"""The shapes of a chart's SVG, as numbers: what draws it elsewhere needs no SVG library.

It reads what `chart_svg` writes, and no more of SVG than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree as ET

from cosmic.report.chart import FONT_PT, SMALL_PT
from cosmic.report.palette import LIGHT

COMMAND = re.compile(r"([MLHVhvlz])([^MLHVhvlz]*)")
COLOUR = re.compile(r"var\(--(.*)\)")
Point = tuple[float, float]


class Clip(NamedTuple):
    """The rectangle outside of which nothing is drawn."""

    left: float
    top: float
    width: float
    height: float


@dataclass
class Stretch:
    """Points that are joined by straight lines."""

    points: list[Point]
    closed: bool = False


@dataclass(frozen=True)
class Drawn:
    """A path; colours are those of a white page, such as `#1b2333`.

    Attributes:
        fill: Colour of the area; empty: none.
        stroke: Colour of the line; empty: none.
        dashes: Lengths of dashes and gaps in turn; empty: it is not dashed.
        round_ends: Whether a line ends in half a disk; one of no length is a disk.
    """

    stretches: list[Stretch]
    fill: str = ""
    stroke: str = ""
    width: float = 1.0
    dashes: tuple[float, ...] = ()
    round_ends: bool = False
    clip: Clip | None = None


@dataclass(frozen=True)
class Words:
    """A line of text.

    Attributes:
        x, y: Where its baseline begins, has its middle or ends, by `anchor`.
        anchor: `start`, `middle` or `end`.
        size: Of the font.
        upwards: Whether it runs from below to above.
    """

    x: float
    y: float
    text: str
    anchor: str
    size: float
    upwards: bool = False
    colour: str = LIGHT["ink"]


@dataclass(frozen=True)
class Picture:
    """A chart; places are points of 1/72 inch from the upper left corner."""

    width: float
    height: float
    paths: list[Drawn] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


def picture_of(svg: str) -> Picture:
    """The shapes of an SVG that `chart_svg` wrote, the first one undermost."""
    root = ET.fromstring(svg)  # noqa: S314 - it is our own
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    clips = {e.attrib["id"]: _clip(e[0]) for e in root if e.tag == "clipPath"}
    picture = Picture(width, height)
    for element, clip in _elements(root, clips):
        if element.tag == "text":
            picture.words.append(_words(element))
        elif element.tag in ("path", "rect"):
            picture.paths.append(_drawn(element, clip))
    return picture


def _elements(root: ET.Element, clips: dict[str, Clip]) -> Iterator[tuple[ET.Element, Clip | None]]:
    for element in root:
        if element.tag == "g":
            clip = clips[element.attrib["clip-path"].removeprefix("url(#").removesuffix(")")]
            yield from ((child, clip) for child in element)
        else:
            yield element, None


def _clip(rect: ET.Element) -> Clip:
    return Clip(*(float(rect.attrib[name]) for name in ("x", "y", "width", "height")))


def _words(element: ET.Element) -> Words:
    said = element.attrib
    size = SMALL_PT if said.get("class") == "small" else FONT_PT
    place = float(said["x"]), float(said["y"])
    return Words(*place, element.text or "", said["text-anchor"], size, "transform" in said)


def _drawn(element: ET.Element, clip: Clip | None) -> Drawn:
    style = dict(part.split(":", 1) for part in element.attrib["style"].split(";"))
    return Drawn(
        _stretches(element.attrib["d"]) if element.tag == "path" else [_box(_clip(element))],
        _colour(style.get("fill", "none")),
        _colour(style.get("stroke", "none")),
        float(style.get("stroke-width", 1.0)),
        tuple(map(float, style.get("stroke-dasharray", "").split())),
        style.get("stroke-linecap") == "round",
        clip,
    )


def _colour(said: str) -> str:
    found = COLOUR.fullmatch(said)
    return LIGHT[found[1]] if found else ""


def _box(at: Clip) -> Stretch:
    left, top, right, low = at.left, at.top, at.left + at.width, at.top + at.height
    return Stretch([(left, top), (right, top), (right, low), (left, low)], closed=True)


def _stretches(path: str) -> list[Stretch]:
    """The subpaths of a path."""
    found: list[Stretch] = []
    for command, numbers in COMMAND.findall(path):
        if command == "z":
            found[-1].closed = True
            continue
        values = [float(n) for n in numbers.split()]
        if command == "M":
            found.append(Stretch([(values[0], values[1])]))
        else:
            found[-1].points.append(_next(found[-1].points[-1], command, values))
    return found


def _next(before: Point, command: str, values: list[float]) -> Point:
    """Where a line ends that begins at the point before."""
    x, y = before
    match command:
        case "L":
            return values[0], values[1]
        case "l":
            return x + values[0], y + values[1]
        case "H":
            return values[0], y
        case "h":
            return x + values[0], y
        case "V":
            return x, values[0]
    return x, y + values[0]
