"""A picture as pixels, drawn by Pillow in twice the resolution and then averaged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from cosmic.report.svg_shapes import Clip, Drawn, Picture, Point, Stretch, Words
from cosmic.report.truetype import FONT_FILE

DOTS_PER_INCH = 300
POINTS_PER_INCH = 72
FINER = 2
SCALE = DOTS_PER_INCH / POINTS_PER_INCH
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # in Pillow: where, on the baseline


def image_of(picture: Picture) -> Image.Image:
    """The picture on white, at 300 dots per inch."""
    size = math.ceil(picture.width * SCALE), math.ceil(picture.height * SCALE)
    fine = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    for clip, paths in _by_clip(picture.paths):
        _draw_clipped(fine, paths, clip)
    image = fine.reduce(FINER)
    for words in picture.words:
        _write(image, words)
    return image


def _by_clip(paths: list[Drawn]) -> Iterator[tuple[Clip | None, list[Drawn]]]:
    """Paths that follow each other and have one clip."""
    some: list[Drawn] = []
    for path in paths:
        if some and some[0].clip != path.clip:
            yield some[0].clip, some
            some = []
        some.append(path)
    if some:
        yield some[0].clip, some


def _draw_clipped(image: Image.Image, paths: list[Drawn], clip: Clip | None) -> None:
    """Draw on what lies inside of the clip alone, a picture of its own meanwhile."""
    if clip is None:
        _draw(image, paths, (0, 0))
        return
    left, top, right, low = (
        round(end * SCALE * FINER)
        for end in (clip.left, clip.top, clip.left + clip.width, clip.top + clip.height)
    )
    inside = image.crop((left, top, right, low))
    _draw(inside, paths, (left, top))
    image.paste(inside, (left, top))


def _draw(image: Image.Image, paths: list[Drawn], origin: tuple[int, int]) -> None:
    draw = ImageDraw.Draw(image)
    for path in paths:
        for stretch in path.stretches:
            places = [_place(point, origin) for point in stretch.points]
            if path.fill:
                _fill(draw, places, path.fill)
            if path.stroke:
                _stroke(draw, stretch, places, path)


def _place(point: Point, origin: tuple[int, int]) -> Point:
    return point[0] * SCALE * FINER - origin[0], point[1] * SCALE * FINER - origin[1]


def _fill(draw: ImageDraw.ImageDraw, places: list[Point], colour: str) -> None:
    """An area; of a box, neighbours neither overlap nor leave a gap: Pillow draws both ends."""
    xs, ys = {x for x, _ in places}, {y for _, y in places}
    if len(xs) == 2 and len(ys) == 2 and len(places) == 4:
        (left, right), (top, low) = (sorted(map(round, ends)) for ends in (xs, ys))
        if right > left and low > top:
            draw.rectangle((left, top, right - 1, low - 1), fill=colour)
    elif len(places) > 2:
        draw.polygon(places, fill=colour)


def _stroke(draw: ImageDraw.ImageDraw, stretch: Stretch, places: list[Point], path: Drawn) -> None:
    width = path.width * SCALE * FINER
    if path.round_ends and len({*places}) == 1:
        (x, y), half = places[0], width / 2
        draw.ellipse((x - half, y - half, x + half, y + half), fill=path.stroke)
        return
    line = [*places, places[0]] if stretch.closed else places
    scaled = tuple(length * SCALE * FINER for length in path.dashes)
    for part in _dashed(line, scaled) if scaled else [line]:
        draw.line(part, fill=path.stroke, width=max(1, round(width)), joint="curve")


def _dashed(line: list[Point], lengths: tuple[float, ...]) -> Iterator[list[Point]]:
    """The dashes of a line; lengths of dashes and gaps in turn."""
    turn, left = 0, lengths[0]
    dash: list[Point] = line[:1]
    for (x, y), (to_x, to_y) in pairwise(line):
        whole = math.hypot(to_x - x, to_y - y)
        done = 0.0
        while whole - done > left:
            done += left
            place = x + (to_x - x) * done / whole, y + (to_y - y) * done / whole
            if turn % 2 == 0:
                yield [*dash, place]
            turn += 1
            dash, left = [place], lengths[turn % len(lengths)]
        left -= whole - done
        dash.append((to_x, to_y))
    if turn % 2 == 0 and len(dash) > 1:
        yield dash


def _write(image: Image.Image, words: Words) -> None:
    font = ImageFont.truetype(FONT_FILE, words.size * SCALE, layout_engine=ImageFont.Layout.BASIC)
    x, y = words.x * SCALE, words.y * SCALE
    if not words.upwards:
        place = ImageDraw.Draw(image)
        place.text((x, y), words.text, words.colour, font, ANCHORS[words.anchor])
        return
    length, high = math.ceil(font.getlength(words.text)), math.ceil(2 * words.size * SCALE)
    mask = Image.new("L", (length, high), 0)
    ImageDraw.Draw(mask).text((0, high * 3 // 4), words.text, 255, font, "ls")
    upright = mask.transpose(Image.Transpose.ROTATE_90)
    share = {"start": 1.0, "middle": 0.5, "end": 0.0}[words.anchor]
    corner = round(x - high * 3 / 4), round(y - length * share)
    image.paste(words.colour, corner, upright)
