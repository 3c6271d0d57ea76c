"""From the published library's `fmi.json` to the arguments of `fmilib.connect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MIN_TIMEOUT_S = 30.0


def read(config_path: str) -> dict[str, Any]:
    """Return keywords for `fmilib.connect` that reach the first enabled backend.

    A secret isn't part of the file: it comes from FMI_SECRET. What a channel costs and how fast
    it is (`model` or `performance`) isn't read: it is measured.

    Raises:
        ValueError: no backend is enabled, or the file isn't one.
        OSError: it can't be read.
    """
    backends = json.loads(Path(config_path).read_text()).get("backends", {})
    ways = {"Direct": _direct, "TCPunch": _direct, "Redis": _redis, "S3": _s3}
    for name, way in ways.items():
        found = backends.get(name)
        if found and str(found.get("enabled", True)).lower() == "true":
            return {**way(found), **_bound(found)}
    raise ValueError(f"{config_path} enables none of {', '.join(ways)}")


def _direct(found: dict[str, Any]) -> dict[str, Any]:
    return {"channel": "direct", "rendezvous": f"{found['host']}:{found['port']}"}


def _redis(found: dict[str, Any]) -> dict[str, Any]:
    return {"channel": "redis", "store": f"redis://{found['host']}:{found['port']}/0"}


def _s3(found: dict[str, Any]) -> dict[str, Any]:
    return {"channel": "s3", "store": str(found["bucket_name"])}


def _bound(found: dict[str, Any]) -> dict[str, Any]:
    """Return the backend's time-out, which is in milliseconds there.

    There it bounds one wait between running peers, here the forming as well.
    """
    limit_ms = float(found.get("max_timeout", 0))
    return {"timeout_s": max(limit_ms / 1000, MIN_TIMEOUT_S)} if limit_ms else {}
