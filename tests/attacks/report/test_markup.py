"""Names, errors and URIs that are markup: the page shows them and interprets none."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from cosmic.contracts.status import State
from cosmic.report.page import MAX_PAGE_BYTES, page
from report_support.samples import sample

EVIL = "</title></svg><script>alert(1)</script><img src=//x onerror=alert(2)>\"'{{7*7}}"


class Elements(HTMLParser):
    """Counts elements, and attributes that run code or load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        loads = ("src", "href", "xlink:href", "action", "data")
        local = ("#", "data:,", "data:image/png;base64,")
        self.active += [
            (name, value)
            for name, value in attrs
            if name.startswith("on") or (name in loads and not (value or "").startswith(local))
        ]


def evil_page(times: int = 1, **more: Any) -> str:
    problem = {"code": EVIL, "message": EVIL * times, "hint": EVIL * times, "pointer": EVIL}
    document = sample(
        2,
        200,
        run=EVIL,
        state=State.FAILED,
        problems=(problem,) * times,
        warnings=(EVIL * times,) * times,
        missing=({"rank": 0, "rows": 1, "reason": EVIL * times},) * times,
        outputs={EVIL: EVIL},
        fmi=EVIL,
    )
    records = tuple(
        r.model_copy(update={"fmi": EVIL, "fmi_error": EVIL, "engine": EVIL})
        for r in document.slowest
    )
    flagged = tuple({**row, "object_id": EVIL} for row in document.flagged)
    cutouts = tuple(c.model_copy(update={"object_id": EVIL}) for c in document.cutouts)
    changes = {
        "cutouts": cutouts,
        "slowest": records,
        "flagged": flagged,
        "provenance": dict.fromkeys(document.provenance, EVIL),
    }
    return page(document.model_copy(update={**changes, **more}))


def test_markup_in_data_stays_text() -> None:
    text = evil_page()
    found = Elements(text)
    assert {"script", "iframe", "object", "base"}.isdisjoint(found.names)
    assert found.active == []
    assert "{{7*7}}" in text


def test_endless_errors_do_not_make_an_endless_page() -> None:
    assert len(evil_page(times=300).encode()) < MAX_PAGE_BYTES


def test_the_page_forbids_what_it_does_not_need() -> None:
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in evil_page()
