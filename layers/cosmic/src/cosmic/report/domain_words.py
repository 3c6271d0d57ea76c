"""What a run says of objects that are unlike those of the model's training."""

from __future__ import annotations

from typing import Any

UNKNOWN = "no domain known: the model can't tell which objects are unlike its training data"


def domain_words(metrics: dict[str, Any]) -> str:
    """How many objects of a metrics.json are out of domain; empty if it doesn't say."""
    domain = metrics.get("domain")
    if domain is None:
        return ""
    if not domain["known"]:
        return UNKNOWN
    share = "" if domain["share"] is None else f" ({100 * domain['share']:.1f} %)"
    return f"{domain['outside']:,}{share} unlike the training data"
