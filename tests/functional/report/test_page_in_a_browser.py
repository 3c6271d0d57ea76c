"""The run page in real Chromium: complete, silent, readable, on any screen and on paper."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import pytest

from report_support.browser import CONTRASTS, TEXTS, axe_violations, opened

Pages = Callable[[str], str]
EVERY_FIGURE = [
    "density",
    "residuals",
    "pit",
    "coverage",
    "n-of-z",
    "by-z-spec",
    "by-z-phot",
    "by-mag-r",
    "z-magnitude",
    "sky",
    "timeline",
]
SIZES = [("one rank", 1280), ("one rank", 390), ("a thousand ranks", 1280), ("failed", 390)]


@pytest.mark.parametrize("name", ["one rank", "a thousand ranks", "failed"])
def test_the_page_is_whole_and_asks_for_nothing(browser: Any, pages: Pages, name: str) -> None:
    with opened(browser, pages(name)) as seen:
        assert seen.page.evaluate("[...document.querySelectorAll('figure')].map(f => f.id)") == (
            EVERY_FIGURE
        )
        drawn = "s => s.map(one => one.querySelectorAll('path, text').length)"
        assert min(seen.page.locator("figure svg").evaluate_all(drawn)) > 10
        assert seen.messages == []
        assert seen.requests == [pages(name)]


@pytest.mark.parametrize(("name", "width"), SIZES)
def test_text_in_figures_is_large_enough_inside_and_apart(
    browser: Any, pages: Pages, name: str, width: int
) -> None:
    with opened(browser, pages(name), width) as seen:
        for figure in seen.page.evaluate(TEXTS):
            left, top, right, bottom = figure["box"]
            for text in figure["texts"]:
                box = text["box"]
                assert text["size"] > 7, (figure["name"], text)
                assert box[0] >= left - 1, (figure["name"], text)
                assert box[1] >= top - 1, (figure["name"], text)
                assert box[2] <= right + 1, (figure["name"], text)
                assert box[3] <= bottom + 1, (figure["name"], text)
            for a, b in combinations(figure["texts"], 2):
                assert not overlap(a["box"], b["box"]), (figure["name"], a["text"], b["text"])


def overlap(a: list[float], b: list[float], slack: float = 2.0) -> bool:
    """Whether two boxes (left, top, right, bottom) share more than their edges."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return wide > slack and high > slack


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(browser: Any, pages: Pages, width: int) -> None:
    with opened(browser, pages("failed"), width) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast_by_day_and_by_night(browser: Any, pages: Pages, scheme: str) -> None:
    with opened(browser, pages("failed"), scheme=scheme) as seen:
        ground = seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (max(map(int, ground[4:-1].split(","))) < 64) == (scheme == "dark")
        contrasts = seen.page.evaluate(CONTRASTS)
        assert len(contrasts) > 100
        assert [c for c in contrasts if c[0] < 4.5] == []


def test_a_screen_reader_finds_headings_names_and_tables(browser: Any, pages: Pages) -> None:
    with opened(browser, pages("failed")) as seen:
        levels = seen.page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])"
        )
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        for figure in EVERY_FIGURE:
            drawing = seen.page.locator(f"#{figure} svg[role=img]")
            named = drawing.evaluate(
                "s => s.getAttribute('aria-labelledby').split(' ')"
                ".map(id => document.getElementById(id).textContent).join('')"
            )
            assert len(named) > 20
        ids = seen.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        assert seen.page.locator("table:not(:has(caption))").count() == 0
        assert seen.page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["failed", "a thousand ranks"])
def test_axe_finds_nothing_wrong(browser: Any, pages: Pages, name: str, scheme: str) -> None:
    with opened(browser, pages(name), scheme=scheme) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert axe_violations(seen.page) == []


def test_axe_finds_what_is_wrong(browser: Any, pages: Pages) -> None:
    with opened(browser, pages("one rank")) as seen:
        seen.page.evaluate("document.querySelector('.cutouts img').removeAttribute('alt')")
        assert [rule for rule, _ in axe_violations(seen.page)] == ["image-alt"]


def test_the_keyboard_opens_the_numbers(browser: Any, pages: Pages) -> None:
    with opened(browser, pages("one rank")) as seen:
        seen.page.locator("#n-of-z summary").focus()
        seen.page.keyboard.press("Enter")
        assert seen.page.locator("#n-of-z table").is_visible()


def test_on_paper_the_page_is_light_and_its_tables_are_open(browser: Any, pages: Pages) -> None:
    with opened(browser, pages("one rank"), scheme="dark") as seen:
        seen.page.emulate_media(media="print")
        ink = seen.page.evaluate("getComputedStyle(document.documentElement).color")
        assert max(map(int, ink[4:-1].split(","))) < 80
        assert seen.page.locator("#ranks > details table").first.is_visible()
        assert not seen.page.locator("nav").is_visible()
        pdf = seen.page.pdf(prefer_css_page_size=True)
        assert 1 <= pdf.count(b"/Type /Page\n") <= 6
