"""One rank: does what its item asks for."""

from __future__ import annotations

import os
import time
from typing import Any

import helper  # type: ignore[import-not-found, unused-ignore]


class TransientError(Exception):
    """Worth a retry."""


class PermanentError(Exception):
    """Not worth one."""


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Serve one item."""
    item = event["item"]
    time.sleep(item.get("sleep_s", 0))
    if item.get("fail_until", 0) > event["attempt"]:
        raise TransientError(f"attempt {event['attempt']}")
    if item.get("die_until", 0) > event["attempt"]:
        os._exit(7)
    if item.get("permanent"):
        raise PermanentError("no")
    return {
        "rank": item["rank"],
        "attempt": event["attempt"],
        "run": event["run"],
        "pid": os.getpid(),
        "helper": helper.NAME,
    }
