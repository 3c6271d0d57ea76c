"""Ends a run."""

from __future__ import annotations

from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return what came before."""
    state = event["state"]
    return {"run": event["run"], "ranks": state.get("ranks"), "failure": state.get("failure")}
