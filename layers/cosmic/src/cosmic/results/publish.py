"""What a run leaves for its user: catalogue, metrics, and CAI's form of the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosmic.compat.cai.combined_data import NAME, combined_data
from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.results.read_run import RunParts
from cosmic.storage.run_store import RunStore


def publish(
    run: RunStore,
    parts: RunParts,
    state: State,
    parquet: Path,
    fits: Path,
    metrics: dict[str, Any],
) -> list[str]:
    """Upload the results; a failed run's catalogue has a name that says that it is not whole.

    Returns:
        Names of what was written, in the run's folder.

    Raises:
        TransientError: S3 failed.
    """
    name = "catalogue.partial" if state is State.FAILED else "catalogue"
    files = {f"{name}.parquet": parquet, f"{name}.fits": fits}
    run.write_results(files)
    run.write_json("metrics.json", metrics)
    return [*files, "metrics.json", *_publish_combined(run, parts)]


def _publish_combined(run: RunStore, parts: RunParts) -> list[str]:
    """CAI's form of the records, where a manifest asks for it; where it wants it, if we may."""
    cai = parts.plan.cai
    if cai is None:
        return []
    entries = combined_data(parts.plan, parts.records)
    run.write_json(NAME, entries)
    if cai.copied:  # outside the run's folder, where the manifest's CAI payload names
        run.objects.put_json(Location(run.folder.bucket, f"{cai.result_path}/{NAME}"), entries)
    return [NAME]
