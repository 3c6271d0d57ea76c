"""The font of plots: which glyph a character has and how wide it is, read from a TrueType file.

`fonts/DejaVuSans.ttf` is DejaVu Sans 2.37 cut down to Latin, Greek and the signs that plots use,
small enough to lie in a PDF as it is.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FONT_FILE = Path(__file__).with_name("fonts") / "DejaVuSans.ttf"
UNICODE_BMP = (3, 1)  # platform and encoding of the character map that every TrueType font has
SEGMENTS = 4  # the format of that map


class Font(NamedTuple):
    """What is known of a font; lengths are in thousandths of its size.

    Attributes:
        data: The file.
        glyphs: Glyph of each character, by its code point.
        widths: Of all glyphs.
        box: Around all glyphs: left, bottom, right, top.
        ascent: Above the baseline.
        descent: Below it, negative.
    """

    data: bytes
    glyphs: dict[int, int]
    widths: list[float]
    box: tuple[float, ...]
    ascent: float
    descent: float

    def encoded(self, text: str) -> list[int]:
        """The glyphs of a text; 0, an empty box, where there is none."""
        return [self.glyphs.get(ord(character), 0) for character in text]

    def width(self, text: str) -> float:
        """How long a text is."""
        return sum(self.widths[glyph] for glyph in self.encoded(text))


@cache
def plot_font() -> Font:
    """The font of plots."""
    data = FONT_FILE.read_bytes()
    (count,) = struct.unpack_from(">H", data, 4)
    entries = (struct.unpack_from(">4sLLL", data, 12 + 16 * i) for i in range(count))
    at = {tag.decode(): offset for tag, _, offset, _ in entries}
    (units,) = struct.unpack_from(">H", data, at["head"] + 18)
    ascent, descent = struct.unpack_from(">hh", data, at["hhea"] + 4)
    (measured,) = struct.unpack_from(">H", data, at["hhea"] + 34)
    pairs = np.frombuffer(data, ">u2", 2 * measured, at["hmtx"])
    scale = 1000 / units
    box = struct.unpack_from(">4h", data, at["head"] + 36)
    return Font(
        data,
        _glyphs(data, at["cmap"]),
        (scale * pairs[::2]).tolist(),
        tuple(scale * end for end in box),
        scale * ascent,
        scale * descent,
    )


def _glyphs(data: bytes, at: int) -> dict[int, int]:
    """The character map."""
    (count,) = struct.unpack_from(">H", data, at + 2)
    tables = (struct.unpack_from(">HHL", data, at + 4 + 8 * i) for i in range(count))
    start = at + next(offset for *which, offset in tables if tuple(which) == UNICODE_BMP)
    kind, length, _, doubled = struct.unpack_from(">4H", data, start)
    if kind != SEGMENTS:
        raise ValueError(f"{FONT_FILE} has a character map of format {kind}, not {SEGMENTS}")
    words = np.frombuffer(data, ">u2", length // 2, start).astype(np.int64)
    return _of_segments(words, doubled // 2)


def _of_segments(words: NDArray[np.int64], count: int) -> dict[int, int]:
    """Format 4: four columns of so many segments from word 7 on, with a word after the first."""
    found: dict[int, int] = {}
    for i in range(count):
        end, first, delta, offset = (int(words[w]) for w in _places(i, count))
        for code in range(first, end + 1):
            glyph = code
            if offset:
                glyph = int(words[8 + 3 * count + i + offset // 2 + code - first])
            found[code] = (glyph + delta) % (1 << 16) if glyph or not offset else 0
    return {code: glyph for code, glyph in found.items() if glyph}


def _places(i: int, count: int) -> tuple[int, int, int, int]:
    return 7 + i, 8 + count + i, 8 + 2 * count + i, 8 + 3 * count + i
