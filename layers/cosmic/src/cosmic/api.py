"""What programs use of Cosmic without a stack: validate, plan, and run on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from cosmic import __version__
from cosmic.client.manifests import AnyManifest, read_manifest
from cosmic.contracts.catalogue_columns import Rows
from cosmic.contracts.catalogue_schema import redshifts_of
from cosmic.contracts.engines import AUTO_ENGINE, EngineName, Precision
from cosmic.contracts.manifest import Manifest, PixelMismatch
from cosmic.contracts.plan import Limits, Plan
from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.costs.whole_plan import whole_plan
from cosmic.metrics.photo_z import PhotoZ
from cosmic.results.catalogue_files import CatalogueWriter, row_groups
from cosmic.storage.interfaces import Readable
from cosmic.storage.local import FolderStore, LocalOutput
from cosmic.storage.objects import Store, s3_client
from cosmic.workstation.plan_here import (
    HERE,
    limits_here,
    manifest_here,
    partition_files,
)

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from cosmic.ranks.predict import Progress as Counts

LAMBDA = Limits(
    world_size=1000, memory_mb=MB_PER_VCPU, channels=("direct", "s3"), engines=(AUTO_ENGINE,)
)
CATALOGUE = ("catalogue.parquet", "catalogue.fits")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LocalRun:
    """What a run on this machine made.

    Attributes:
        parquet, fits: The catalogue, twice.
        rows, rows_flagged: Rows in it, and those that have a flag.
        metrics: Of the redshifts, as `photo_z` in a run's metrics.json.
        rows_out_of_domain: Rows unlike the model's training data; None: it can't tell.
        warnings: What the user should know about the input.
    """

    parquet: Path
    fits: Path
    rows: int
    rows_flagged: int
    metrics: dict[str, Any]
    rows_out_of_domain: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def share_out_of_domain(self) -> float | None:
        """`rows_out_of_domain` of `rows`, 0 to 1; None: the model can't tell."""
        known = self.rows_out_of_domain is not None and self.rows
        return (self.rows_out_of_domain or 0) / self.rows if known else None


def validate_manifest(manifest: AnyManifest) -> Manifest:
    """Check a manifest, or CAI's payload as one.

    Args:
        manifest: The document as a dict, as JSON text, or the path of its file.

    Raises:
        InvalidInput: it has mistakes; lists all of them.
        InputError: there is no such file.
    """
    return read_manifest(manifest)[0]


def plan_manifest(
    manifest: Manifest | AnyManifest,
    *,
    folders: Mapping[str, Path] | None = None,
    client: S3Client | None = None,
    limits: Limits = LAMBDA,
) -> Plan:
    """Plan a run as `init` would: check its input, and decide which rank reads which rows.

    Args:
        manifest: The manifest, or what `validate_manifest` takes.
        folders: Folders that stand for buckets, by the buckets' names; None: S3 is asked.
        client: The S3 client to ask; None: one by the environment's credentials.
        limits: Of the deployment; by default those of a fresh one.

    Raises:
        InvalidInput: the run is not possible; lists all the reasons.
        TransientError: S3 failed.
    """
    checked = manifest if isinstance(manifest, Manifest) else validate_manifest(manifest)
    store: Readable = Store(client or s3_client()) if folders is None else FolderStore(folders)
    return whole_plan(checked, store, limits).plan


def run_local(
    data: Path | str | Sequence[Path | str],
    model: Path | str,
    out: Path | str,
    *,
    batch_size: int = 64,
    engine: EngineName | Literal["auto"] = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    limit_rows: int | None = None,
    pixel_mismatch: PixelMismatch = "auto",
    progress: Progress | None = None,
) -> LocalRun:
    """Predict the redshifts of partitions on this machine, without a stack.

    Rows are streamed: memory does not grow with the partitions.

    Args:
        data: A folder of partitions, or their files in order; `.safetensors` or `.pt`.
        model: The checkpoint.
        out: Folder for `catalogue.parquet` and `catalogue.fits`; made if it does not exist.
        threads: Of the engine; None: all cores that this process may use.
        limit_rows: How many rows to take, from the first; None: all.
        pixel_mismatch: What happens if pixels are not as bright as the magnitudes say: `refuse`,
            `warn`, or `auto` (`warn` for `.pt`, else `refuse`).
        progress: Called after each block with the rows done and the rows there are.

    Raises:
        InvalidInput: the input has problems; lists all of them.
        InputError: the engine or the precision is not available here, or a file has changed.
    """
    from cosmic.ranks.predict import Progress as Counts

    store = FolderStore({HERE: Path("/")})
    inference = {
        "batch_size": batch_size,
        "world_size": 1,
        "engine": engine,
        "precision": precision,
        "limit_rows": limit_rows,
    }
    wanted = manifest_here(partition_files(data), Path(model), inference, pixel_mismatch)
    plan = whole_plan(wanted, store, limits_here(1)).plan
    counts, photo_z = Counts(), PhotoZ()
    with (
        _written_whole(Path(out)) as (parquet, fits),
        closing(_predicted(plan, store, Path(model), threads, counts)) as blocks,
        CatalogueWriter(
            parquet, fits, _provenance(plan, 0), plan.id_bytes, plan.model.bands
        ) as writer,
    ):
        for group in row_groups(_followed(blocks, counts, plan, progress)):
            writer.write(group)
            photo_z.see(*redshifts_of(group))
        writer.finish(_provenance(plan, counts.rows_flagged))
    parquet_file, fits_file = (Path(out) / name for name in CATALOGUE)
    return LocalRun(
        parquet_file,
        fits_file,
        counts.rows,
        counts.rows_flagged,
        photo_z.metrics(dropped=counts.implausible_z_spec),
        counts.rows_out_of_domain if plan.model.has_domain else None,
        plan.announced,
    )


def _followed(
    blocks: Iterable[Rows],
    counts: Counts,
    plan: Plan,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Rows]:
    """The same rows; says after each block how far they go."""
    for block in blocks:
        if progress:
            progress(counts.rows, plan.rows)
        yield block


@contextmanager
def _written_whole(out: Path) -> Iterator[tuple[LocalOutput, LocalOutput]]:
    """Both files of a catalogue, which appear in `out` when they are whole."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".catalogue-", dir=out) as beside:
        parquet, fits = (Path(beside) / name for name in CATALOGUE)
        with LocalOutput(parquet) as one, LocalOutput(fits) as other:
            yield one, other
        for path in (parquet, fits):
            path.replace(out / path.name)


def _predicted(
    plan: Plan, store: Readable, model: Path, threads: int | None, counts: Counts
) -> Generator[Rows, None, None]:
    """Catalogue rows of the plan's only rank, block by block."""
    from cosmic.data.stream import BlockReader
    from cosmic.model.checkpoint import load_checkpoint
    from cosmic.model.engine import Engine
    from cosmic.ranks.rows import predicted_rows

    engine = Engine(
        load_checkpoint(model, plan.model.sha256),
        threads or len(os.sched_getaffinity(0)),
        name=plan.engine,
        precision=plan.precision,
        batch_size=plan.batch_size,
    )
    reader = BlockReader(store, plan.partitions, plan.batch_size)
    with reader.blocks(plan.ranks[0].slices) as blocks:
        yield from predicted_rows(blocks, engine, plan, counts, float("inf"))


def _provenance(plan: Plan, rows_flagged: int) -> dict[str, str | int]:
    return {
        "cosmic.run": plan.run,
        "cosmic.model": plan.model.key.rsplit("/", 1)[-1],
        "cosmic.modelsha": plan.model.sha256,
        "cosmic.software": f"cosmic {__version__}",
        "cosmic.dataset": plan.dataset.removeprefix(f"s3://{HERE}"),
        "cosmic.date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cosmic.rowsin": plan.rows,
        "cosmic.rowsout": plan.rows,
        "cosmic.flagged": rows_flagged,
    }
