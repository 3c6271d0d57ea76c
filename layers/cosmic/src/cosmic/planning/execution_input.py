"""The input of an execution of the state machine."""

from __future__ import annotations

from typing import Any

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Limits, Plan


def execution_input(
    folder: RunFolder, manifest_uri: str, plan: Plan, limits: Limits
) -> dict[str, Any]:
    """The state machine's input for running a plan."""
    return {
        "bucket": folder.bucket,
        "prefix": folder.prefix,
        "run": folder.run,
        "world_size": plan.world_size,
        "concurrency": min(plan.world_size, limits.world_size),
        "manifest": manifest_uri,
        "ranks_key": folder.ranks.key,
        "status_key": folder.status.key,
    }
