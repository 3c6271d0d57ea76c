"""A matplotlib figure as inline SVG: small, described, and in the page's own colours and fonts."""

from __future__ import annotations

import io
import re
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.figure import Figure

from cosmic.report.palette import LIGHT

_UNWANTED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.DOTALL)
_STYLE_SHEET = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_GROUP_ID = re.compile(r'<g id="[^"]*"')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_TAG = re.compile(r"<[^>]*>")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>')
_COLOURS = {value: f"var(--{name})" for name, value in LIGHT.items()}
_COLOUR = re.compile("|".join(_COLOURS))


def inline_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element for an HTML page.

    Args:
        figure: A figure drawn in the colours of `palette.LIGHT`.
        name: Unique in the page; its ids begin with it.
        title: What a screen reader calls it.
        description: What it shows, in a sentence.
    """
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = _STYLE_SHEET.sub("", _UNWANTED.sub("", out.getvalue()))
    text = _FONT.sub("", _GROUP_ID.sub("<g", text))
    text = _TAG.sub(lambda tag: _slim(tag.group()), text)
    text = _SIZE.sub(lambda found: _head(found.group(1), name, title, description), text, count=1)
    return re.sub(r"\s*\n\s*", " ", text).strip()


def _head(view_box: str, name: str, title: str, description: str) -> str:
    return (
        f'<svg viewBox="{view_box}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-text">{escape(description)}</desc>'
    )


def _slim(tag: str) -> str:
    """A tag with shorter numbers, and colours by name; text between tags stays as it is."""
    tag = _NUMBER.sub(lambda found: _rounded(found.group()), tag)
    return _COLOUR.sub(lambda found: _COLOURS[found.group()], tag)


def _rounded(number: str) -> str:
    """Two decimals of a point are a hundredth of a pixel or so."""
    return f"{float(number):.2f}".rstrip("0").rstrip(".")
