"""A picture as a PDF page of the picture's size, and as the pixels of that page."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import pypdfium2
from PIL.Image import Image
from reportlab.lib.colors import HexColor
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject

from cosmic.report.svg_shapes import Clip, Drawn, Picture, Stretch, Words

FONT = "DejaVuSans"
FONT_FILE = Path(__file__).with_name("fonts") / "DejaVuSans.ttf"
DOTS_PER_INCH = 300
SCALE = DOTS_PER_INCH / 72  # pixels of a point
ROUND_CAP, UPWARDS = 1, 90


def pdf_of(picture: Picture) -> bytes:
    """The PDF, its text searchable, in an embedded font; equal pictures give equal bytes."""
    _register_font()
    file = io.BytesIO()
    canvas = Canvas(file, (picture.width, picture.height), pageCompression=1, invariant=1)
    canvas.translate(0, picture.height)  # places are turned over one by one, so text stays upright
    for path in picture.paths:
        _draw(canvas, path)
    for words in picture.words:
        _write(canvas, words)
    canvas.save()
    return file.getvalue()


def image_of(pdf: bytes) -> Image:
    """The PDF's page as it looks on white, at 300 dots per inch."""
    with pypdfium2.PdfDocument(pdf) as document:
        image: Image = document[0].render(scale=SCALE).to_pil()
        return image.copy()  # the document's memory goes with it


@cache
def _register_font() -> None:
    registerFont(TTFont(FONT, FONT_FILE))


def _draw(canvas: Canvas, path: Drawn) -> None:
    canvas.saveState()
    if path.clip:
        canvas.clipPath(_rectangle(canvas, path.clip), stroke=0, fill=0)
    if path.fill:
        canvas.setFillColor(HexColor(path.fill))
    if path.stroke:
        canvas.setStrokeColor(HexColor(path.stroke))
        canvas.setLineWidth(path.width)
        canvas.setDash(*([list(path.dashes)] if path.dashes else []))
        canvas.setLineCap(ROUND_CAP * path.round_ends)
    outline = canvas.beginPath()
    for stretch in path.stretches:
        _trace(outline, stretch)
    canvas.drawPath(outline, stroke=bool(path.stroke), fill=bool(path.fill))
    canvas.restoreState()


def _rectangle(canvas: Canvas, clip: Clip) -> PDFPathObject:
    rectangle = canvas.beginPath()
    rectangle.rect(clip.left, -clip.top - clip.height, clip.width, clip.height)
    return rectangle


def _trace(outline: PDFPathObject, stretch: Stretch) -> None:
    (x, y), *others = stretch.points
    outline.moveTo(x, -y)
    for a, b in others:
        outline.lineTo(a, -b)
    if stretch.closed:
        outline.close()


def _write(canvas: Canvas, words: Words) -> None:
    canvas.saveState()
    canvas.setFont(FONT, words.size)
    canvas.setFillColor(HexColor(words.colour))
    canvas.translate(words.x, -words.y)
    canvas.rotate(UPWARDS * words.upwards)
    place = {
        "start": canvas.drawString,
        "middle": canvas.drawCentredString,
        "end": canvas.drawRightString,
    }[words.anchor]
    place(0, 0, words.text)
    canvas.restoreState()
