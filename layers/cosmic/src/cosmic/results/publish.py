"""What a run leaves for its user: catalogue, metrics, and CAI's form of the records."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

from cosmic.compat.cai.combined_data import NAME, combined_data
from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.results.read_run import RunParts
from cosmic.storage.run_store import RunStore


class CatalogueObjects:
    """The catalogue's two objects while they are written; a context manager.

    A failed run's catalogue has a name that says that it is not whole. What becomes of a run is
    known only when all its rows have been seen, so a large catalogue, whose parts are in S3 by
    then, begins under the name that its run is likely to get.

    Args:
        run: The run.
        failed: Whether it is likely to fail.
    """

    def __init__(self, run: RunStore, *, failed: bool) -> None:
        self._run, self._failed = run, failed
        self.parquet, self.fits = (run.result_writer(name) for name in _names(failed=failed))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as both:
            both.callback(self.parquet.discard)
            both.callback(self.fits.discard)

    def commit(self, *, failed: bool) -> bool:
        """Make both appear; says no, and does nothing, if they were begun under the other name."""
        writers = (self.parquet, self.fits)
        if failed is not self._failed and any(writer.begun for writer in writers):
            return False
        for writer in writers:  # before the first appears, the other is in S3 but for its name
            writer.send_all()
        for writer, name in zip(writers, _names(failed=failed), strict=True):
            writer.commit(self._run.folder.at(name))
        return True


def _names(*, failed: bool) -> tuple[str, str]:
    name = "catalogue.partial" if failed else "catalogue"
    return f"{name}.parquet", f"{name}.fits"


def publish(run: RunStore, parts: RunParts, state: State, metrics: dict[str, Any]) -> list[str]:
    """Write what goes with the catalogue.

    Args:
        metrics: Without the ranks' records.

    Returns:
        Names of all results in the run's folder, the catalogue's among them.

    Raises:
        TransientError: S3 failed.
    """
    run.write_metrics(metrics, parts.records)
    return [*_names(failed=state is State.FAILED), "metrics.json", *_publish_combined(run, parts)]


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
