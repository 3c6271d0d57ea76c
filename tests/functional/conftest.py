"""What several kinds of functional tests use: one browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; ended with the module, for Playwright leaves an event loop running meanwhile."""
    from report_support.browser import chromium

    with chromium() as found:
        yield found
