"""Why objects have no part in the metrics, in words."""

from __future__ import annotations

from typing import Any

WORDS = {
    "no_prediction": "without a prediction",
    "no_z_spec": "without a z_spec",
    "implausible_z_spec": "with an implausible z_spec",
}


def left_out(photo_z: dict[str, Any]) -> list[str]:
    """How many objects `photo_z` of a metrics.json leaves out, and why; no reason without any."""
    counts = photo_z.get("left_out", {})
    return [f"{counts[name]:,} {words}" for name, words in WORDS.items() if counts.get(name)]


def why_no_metrics(photo_z: dict[str, Any]) -> str:
    """Why `photo_z` has no metrics, where its `n` is 0."""
    return f"no object has both redshifts: {', '.join(left_out(photo_z)) or 'there are none'}"
