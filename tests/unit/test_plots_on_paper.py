"""Plots for papers: the page's drawing, as pixels and as PDF, where its data and its words are."""

from __future__ import annotations

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import TTFont

from cosmic.report.chart import Axis, Boxes, Chart, Line, Panel, Points
from cosmic.report.chart_svg import inline_svg
from cosmic.report.palette import LIGHT
from cosmic.report.pdf_plot import FONT, FONT_FILE, SCALE, image_of, pdf_of
from cosmic.report.svg_shapes import Clip, Drawn, Picture, Stretch, Words, picture_of

BLUE, RED = "#1d5c9e", "#b3471d"
LINE = Stretch([(10.0, 20.0), (50.0, 20.0)])


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def seen(image: Image.Image, x: float, y: float) -> object:
    return image.getpixel((round(x * SCALE), round(y * SCALE)))


def chart() -> Chart:
    plain = Axis("z_phot − z_spec", 0.0, 10.0, ticks=((5.0, "fünf"),))
    marks = (
        Boxes(np.array([[0.0, 5.0, 0.0, 10.0]]), "phot"),
        Line((0, 10), (0, 10), "spec", dashed=True),
        Points([7.0], [2.0], [0.5], [0.5], "ink"),
    )
    return Chart((Panel(plain, Axis("σ_NMAD", 0.0, 10.0), marks, words=("N = 3,000",)),))


def test_a_box_is_where_its_data_are_in_pixels() -> None:
    picture = picture_of(inline_svg(chart(), "plot", "", ""))
    (box,) = (p for p in picture.paths if p.clip and p.fill == LIGHT["phot"])
    assert box.clip is not None
    image = image_of(pdf_of(picture))
    size = np.array([picture.width, picture.height]) * SCALE
    assert np.abs(np.array(image.size) - size).max() <= 1
    left, top = box.clip.left, box.clip.top
    high = top + 0.7 * box.clip.height  # below the diagonal there is no more than the box
    assert seen(image, left + 0.45 * box.clip.width, top + 0.3 * box.clip.height) == rgb(box.fill)
    assert seen(image, left + 0.55 * box.clip.width, high - 0.6 * box.clip.height) == (255,) * 3
    assert seen(image, left - 2.0, high) == (255,) * 3


def test_nothing_is_drawn_outside_of_its_clip() -> None:
    square = Stretch([(0.0, 0.0), (60.0, 0.0), (60.0, 60.0), (0.0, 60.0)], closed=True)
    clipped = Drawn([square], fill=BLUE, clip=Clip(10.0, 10.0, 20.0, 20.0))
    image = image_of(pdf_of(Picture(60.0, 60.0, [clipped])))
    assert seen(image, 20, 20) == rgb(BLUE)
    assert seen(image, 8, 20) == seen(image, 20, 32) == (255,) * 3


def test_a_dashed_line_has_gaps_and_a_round_end_is_a_dot() -> None:
    dashed = Drawn([LINE], stroke=BLUE, width=2.0, dashes=(6.0, 4.0))
    dot = Drawn([Stretch([(30.0, 40.0), (30.0, 40.0)])], stroke=RED, width=8.0, round_ends=True)
    image = image_of(pdf_of(Picture(60.0, 60.0, [dashed, dot])))
    assert [seen(image, 10 + at, 20) == rgb(BLUE) for at in (3, 8, 13, 18)] == [True, False] * 2
    assert seen(image, 30, 40) == seen(image, 33, 40) == rgb(RED)
    assert seen(image, 36, 40) == seen(image, 33.5, 43.5) == (255,) * 3


@pytest.mark.parametrize("upwards", [False, True])
@pytest.mark.parametrize(("anchor", "share"), [("start", 0.0), ("middle", 0.5), ("end", 1.0)])
def test_words_begin_or_end_where_they_are_anchored(
    anchor: str, share: float, upwards: bool
) -> None:
    words = Words(100.0, 100.0, "HHHHHHHH", anchor, 10.0, upwards)
    ink = np.asarray(image_of(pdf_of(Picture(200.0, 200.0, words=[words])))).min(axis=2) < 128
    along = np.flatnonzero(ink.any(axis=1 if upwards else 0)) / SCALE
    length = stringWidth(words.text, FONT, words.size)
    first = 100 - share * length if not upwards else 100 - (1 - share) * length
    assert along[0] == pytest.approx(first, abs=1.5)
    assert along[-1] == pytest.approx(first + length, abs=1.5)


def test_a_pdf_can_be_searched_and_is_as_large_as_its_picture() -> None:
    words = Words(20.0, 40.0, "σ_NMAD = −1 ± 2 ≤ Δz … é", "start", 8.0)
    picture = Picture(260.0, 50.0, [Drawn([LINE], stroke=BLUE, width=0.7)], [words])
    made = pdf_of(picture)
    assert made == pdf_of(picture)
    with pypdfium2.PdfDocument(made) as document:
        (page,) = document
        assert page.get_size() == (260.0, 50.0)
        assert page.get_textpage().get_text_range() == words.text


def test_the_font_has_what_charts_say() -> None:
    said = "0123456789 −–…|<>=±×≤≥σΔαåéß σ_NMAD (z_phot − z_spec) / (1 + z_spec), 1e+38 %"
    characters = TTFont("any", FONT_FILE).face.charToGlyph
    assert {ord(character) for character in said} <= set(characters)
