"""A picture as PDF 1.4: one page of the picture's size, its text as text in an embedded font."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from functools import cache

from cosmic.report.svg_shapes import Clip, Drawn, Picture, Stretch, Words
from cosmic.report.truetype import Font, plot_font

NAME = "/CSMCAA+DejaVuSans"  # six letters and a plus sign: a part of the font
SYMBOLIC = 4  # flag of a font whose characters are not all Latin
ROUND = "1 J"
WHOLE_PART = {"start": 0.0, "middle": 0.5, "end": 1.0}
UNICODE_HEAD = (
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Plot def"
    " /CMapType 2 def 1 begincodespacerange <0000> <ffff> endcodespacerange"
)
UNICODE_TAIL = "endcmap CMapName currentdict /CMap defineresource pop end end"
MOST_ENTRIES = 100  # of one section of a map


def pdf_of(picture: Picture) -> bytes:
    """The PDF; equal pictures give equal bytes."""
    font = plot_font()
    content = "\n".join(
        [
            f"1 0 0 -1 0 {picture.height:g} cm",  # y runs down, as in the picture
            *(line for path in picture.paths for line in _path(path)),
            *(_text(words, font) for words in picture.words),
        ]
    )
    box = f"/MediaBox [0 0 {picture.width:g} {picture.height:g}]"
    page = f"/Type /Page /Parent 2 0 R {box} /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< {page} >>".encode(),
        _stream(content.encode()),
        *_font_objects(),
    ]
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    """Objects from number 1 on, and the table of where they lie."""
    parts, at, places = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"], 15, []
    for number, body in enumerate(objects, 1):
        places.append(at)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        at += len(parts[-1])
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    parts.append(f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode())
    parts.append(f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n".encode())
    return b"".join(parts)


def _stream(data: bytes, more: str = "") -> bytes:
    packed = zlib.compress(data)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode{more} >>\nstream\n"
    return head.encode() + packed + b"\nendstream"


@cache
def _font_objects() -> tuple[bytes, ...]:
    """Objects 5 to 9: the font, by the numbers of its glyphs, and how to get characters back."""
    font = plot_font()
    box = " ".join(f"{end:.0f}" for end in font.box)
    lines = f"/Ascent {font.ascent:.0f} /Descent {font.descent:.0f} /CapHeight {font.ascent:.0f}"
    about = f"/FontBBox [{box}] {lines} /Flags {SYMBOLIC} /ItalicAngle 0 /StemV 80"
    widths = " ".join(f"{width:.0f}" for width in font.widths)
    system = "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    return (
        f"<< /Type /Font /Subtype /Type0 /BaseFont {NAME} /Encoding /Identity-H"
        " /DescendantFonts [6 0 R] /ToUnicode 9 0 R >>".encode(),
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont {NAME} {system} /FontDescriptor 7 0 R"
        f" /CIDToGIDMap /Identity /W [0 [{widths}]] >>".encode(),
        f"<< /Type /FontDescriptor /FontName {NAME} {about} /FontFile2 8 0 R >>".encode(),
        _stream(font.data, f" /Length1 {len(font.data)}"),
        _stream("\n".join(_to_unicode(font)).encode()),
    )


def _to_unicode(font: Font) -> Iterator[str]:
    pairs = sorted({glyph: code for code, glyph in font.glyphs.items()}.items())
    yield UNICODE_HEAD
    for at in range(0, len(pairs), MOST_ENTRIES):
        some = pairs[at : at + MOST_ENTRIES]
        yield f"{len(some)} beginbfchar"
        yield from (f"<{glyph:04x}> <{code:04x}>" for glyph, code in some)
        yield "endbfchar"
    yield UNICODE_TAIL


def _path(path: Drawn) -> Iterator[str]:
    yield "q"
    if path.clip:
        yield f"{_numbers(path.clip)} re W n"
    if path.fill:
        yield f"{_colour(path.fill)} rg"
        yield f"{_outlines(path.stretches)} f"
    if path.stroke:
        dashes = f"[{_numbers(path.dashes)}] 0 d"
        yield f"{_colour(path.stroke)} RG {path.width:g} w {dashes} {ROUND * path.round_ends}"
        yield f"{_outlines(path.stretches)} S"
    yield "Q"


def _outlines(stretches: Iterable[Stretch]) -> str:
    return "\n".join(map(_outline, stretches))


def _outline(stretch: Stretch) -> str:
    (x, y), *others = stretch.points
    lines = "".join(f" {a:g} {b:g} l" for a, b in others)
    return f"{x:g} {y:g} m{lines}{' h' * stretch.closed}"


def _numbers(values: Clip | Iterable[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _colour(name: str) -> str:
    return _numbers(round(part / 255, 4) for part in bytes.fromhex(name[1:]))


def _text(words: Words, font: Font) -> str:
    """A line of text, upright although y runs down."""
    before = WHOLE_PART[words.anchor] * font.width(words.text) * words.size / 1000
    if words.upwards:
        place = f"0 -1 -1 0 {words.x:.2f} {words.y + before:.2f}"
    else:
        place = f"1 0 0 -1 {words.x - before:.2f} {words.y:.2f}"
    glyphs = "".join(f"{glyph:04x}" for glyph in font.encoded(words.text))
    colour = _colour(words.colour)
    return f"BT {colour} rg /F {words.size:g} Tf {place} Tm <{glyphs}> Tj ET"
