"""What comes from elsewhere is shown, never obeyed: control characters don't reach a terminal.

Names of objects, errors and texts of files may hold escape sequences that recolour, overwrite or
retitle a terminal, or characters that turn the direction of the text around.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

LAYOUT = "\n\t"
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with every control character but line ends and tabs as its escape sequence."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    harmless = unicodedata.category(character) != "Cc" and character not in TURNING
    if harmless or character in LAYOUT:
        return character
    return character.encode("unicode_escape").decode()


class PrintableConsole(Console):
    """A console that shows control characters and obeys none but rich's own."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Everything that is printed comes through here, tables' cells and progress bars too."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)
