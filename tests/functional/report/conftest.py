"""Pages as files, and a browser to look at them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))


from cosmic.contracts.status import State
from cosmic.report.page import page
from report_support.samples import sample


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`pages("one rank")`: the address of a sample's page, made once."""
    folder = tmp_path_factory.mktemp("pages")
    documents: dict[str, Callable[[], Any]] = {
        "one rank": lambda: sample(1, 1000),
        "a thousand ranks": lambda: sample(1000, 10_000_000),
        "failed": lambda: sample(
            24,
            24_000,
            state=State.FAILED,
            rows_out=23_000,
            problems=(
                {"pointer": "", "code": "rows-missing", "message": "1000 of 24000", "hint": "see"},
            ),
            warnings=("rank 3 failed after its rows were written",),
            missing=({"rank": 3, "rows": 1000, "reason": "InputError: bad pixel"},),
        ),
    }

    def address(name: str) -> str:
        path: Path = folder / f"{name.replace(' ', '-')}.html"
        if not path.exists():
            path.write_text(page(documents[name]()), encoding="utf-8")
        return path.as_uri()

    return address
