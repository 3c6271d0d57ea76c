"""The end of a prediction: catalogue, metrics, page and plots, put where the user wants them."""

from __future__ import annotations

import contextlib
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cosmic.contracts.location import Location
from cosmic.contracts.status import Status
from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.results.task import AggregateTask
from cosmic.storage.run_store import RunStore
from cosmic.workstation.work_folder import WorkFolder

PLOTS = "plots"
NO_MANIFEST = "none: made by cosmic predict"


@dataclass(frozen=True)
class Results:
    """What a prediction left for its user.

    Attributes:
        files: Name to path: the catalogue's two files, `metrics.json`, `report.html`.
        plots: The standard plots as PNG and PDF.
    """

    status: Status
    metrics: dict[str, Any]
    files: dict[str, Path]
    plots: tuple[Path, ...]


def finish(
    work: WorkFolder, run: RunStore, out: Path, threads: int, began_at_s: float, *, page: bool
) -> Results:
    """Merge the shards, make page and plots if they are wanted, and move all of it to `out`.

    Everything is made in the working folder first, so that what lies in `out` is whole.
    """
    # pyarrow and more; `import_results` has them ready without anyone having waited for them
    from cosmic.report.render import page_here
    from cosmic.results.aggregate import aggregate

    task = AggregateTask(
        folder=run.folder,
        manifest_uri=NO_MANIFEST,
        execution="",
        run_started_at_s=began_at_s,
        memory_mb=threads * MB_PER_VCPU,
        began_at_s=time.time(),
        page=page,
        published_at=str(out.absolute()),
    )
    plots: list[Future[list[Path]]] = []
    with TemporaryDirectory(dir=work.root) as scratch, ThreadPoolExecutor(1, "plots") as aside:

        def published() -> None:
            """Draw plots while the page is made."""
            if page:
                plots.append(aside.submit(_plots, run, work.root / PLOTS))

        place = Path(scratch)
        end = aggregate(task, run.objects, place, published=published, make=page_here)
        status = end.status
    drawn = [path for each in plots for path in each.result()]
    made = {name: _path(run.folder.at(name)) for name in status.outputs}
    return Results(
        status,
        json.loads(made["metrics.json"].read_bytes()),
        {name: _moved(path, out / name) for name, path in made.items()},
        tuple(_moved(path, out / PLOTS / path.name) for path in drawn),
    )


def import_results(*, page: bool) -> None:
    """Import what makes the catalogue, and the page and the plots, before it is needed.

    Where it is not installed, that is said when it is needed.
    """
    with contextlib.suppress(ImportError):
        import cosmic.results.aggregate

        if page:
            import cosmic.report.page
            import cosmic.report.paper_figures  # noqa: F401


def _plots(run: RunStore, folder: Path) -> list[Path]:
    from cosmic.report.paper_figures import write_plots  # Pillow, which nothing else needs

    catalogue, metrics = (_path(run.folder.at(n)) for n in ("catalogue.parquet", "metrics.json"))
    return write_plots(catalogue, json.loads(metrics.read_bytes()), folder)


def _path(at: Location) -> Path:
    return Path("/", at.key)


def _moved(path: Path, target: Path) -> Path:
    target.parent.mkdir(exist_ok=True)
    path.replace(target)
    return target
