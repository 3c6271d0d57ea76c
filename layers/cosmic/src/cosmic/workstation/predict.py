"""From files to a catalogue on this machine, in one call that can be stopped and goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosmic.contracts.engines import EngineName, Precision
from cosmic.contracts.layout import RESULTS
from cosmic.contracts.plan import Plan
from cosmic.contracts.status import Status
from cosmic.costs.whole_plan import whole_plan
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.pack import Packed
from cosmic.errors import InputError, InvalidInput
from cosmic.model.checkpoint import Checkpoint, load_checkpoint
from cosmic.model.engine import Engine
from cosmic.storage.local_store import LocalStore
from cosmic.storage.run_store import RunStore
from cosmic.workstation.finish import finish, import_results
from cosmic.workstation.job import Given, Inference, Job, run_name
from cosmic.workstation.own_words import OwnWords
from cosmic.workstation.plan_here import HERE, limits_here, manifest_here
from cosmic.workstation.ready import ready_partitions
from cosmic.workstation.shards import MOST_SHARDS, SHARD_ROWS, predict_shards
from cosmic.workstation.shipped_model import SHIPPED
from cosmic.workstation.sources import file_here, find_files
from cosmic.workstation.step import Phase, Step
from cosmic.workstation.work_folder import WorkFolder, begun, work_folder

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from cosmic.storage.objects import Store

NAME = ".cosmic-predict"


@dataclass(frozen=True)
class Prediction:
    """What a prediction made.

    Attributes:
        out: The folder it is in.
        files: Name to path: `catalogue.parquet`, `catalogue.fits`, `metrics.json`, `report.html`.
        plots: The standard plots as PNG and PDF.
        status: How it ended: rows, flagged rows, warnings.
        metrics: As in `metrics.json`.
        packed: What was taken for what; None: the files were partitions, or had been packed by an
            earlier call.
    """

    out: Path
    files: dict[str, Path]
    plots: tuple[Path, ...]
    status: Status
    metrics: dict[str, Any]
    packed: Packed | None


def predict(
    files: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    model: Path | str = SHIPPED,
    choices: Choices | None = None,
    check_pixels: bool = True,
    batch_size: int = 64,
    engine: EngineName | Literal["auto"] = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    shard_rows: int = SHARD_ROWS,
    page: bool = True,
    restart: bool = False,
    client: S3Client | None = None,
    progress: Callable[[Step], None] = lambda step: None,
) -> Prediction:
    """Predict the redshifts of the objects in files, on this machine: catalogue, metrics, page.

    Rows keep their order. Files that are not partitions are packed into partitions, and these are
    streamed, so memory hardly grows with the files. Until the results are complete, a working
    folder in `out` holds what is needed to continue: if a call is stopped, for whatever reason,
    repeat it with the same arguments; shards whose checksums match are not computed again.

    Args:
        files: Files of any format that `pack` reads, folders of them, or `s3://` objects and
            folders.
        out: Folder for the results; made if it does not exist.
        model: The checkpoint; by default the shipped one, which is not for science.
        choices: What the files don't say; the bands that are taken are those of the model.
        check_pixels: Whether files are refused whose pixels and magnitudes disagree.
        batch_size: Rows the model sees at once.
        engine: Library that runs the model.
        precision: `float32` or `bf16`.
        threads: Of the engine; None: all cores that this process may use.
        shard_rows: Rows that are written at once; at most these are lost by an interruption.
        page: Whether to make the page and the plots.
        restart: Discard what an earlier call left in `out`.
        client: The S3 client to ask; None: one by the environment's credentials.
        progress: Called again and again.

    Raises:
        InvalidInput: the input has problems, or differs from that of the call that was
            stopped; lists all of them.
        InputError: `out` already holds results, or a file, the model or the engine can't be used.
        TransientError: S3 failed; the same call continues.
    """
    store = cache(lambda: _opened(client))
    given = [files] if isinstance(files, Path | str) else files
    named = file_here(Path(model))
    checkpoint = load_checkpoint(Path(model))
    said = (choices or Choices()).for_model(checkpoint.bands)
    job = Job(
        given=Given(find_files(given, store), said, check_pixels),
        model=named,
        sha256=checkpoint.sha256,
        inference=Inference(batch_size, engine, precision, shard_rows),
    )
    cores = threads or len(os.sched_getaffinity(0))
    call = _Call(job, store, progress, cores, page, checkpoint)
    root = Path(out) / NAME
    if not restart:
        _check_out(Path(out), root)
    with work_folder(root, restart=restart) as work:
        return call.made_in(work, Path(out))


def _opened(client: S3Client | None) -> Store:
    """S3, which not every call needs; boto3 takes its time."""
    from cosmic.storage.objects import Store, s3_client

    return Store(client or s3_client())


def _check_out(out: Path, root: Path) -> None:
    """Refuse a folder that holds results of a prediction that has ended."""
    there = sorted(name for name in RESULTS if (out / name).exists())
    if there and not root.exists():
        hint = "give another --out, or --restart to replace it"
        raise InputError(f"{out} holds {', '.join(there)} already", code="not-empty", hint=hint)


@dataclass(frozen=True)
class _Call:
    """One call of `predict`, its input looked up."""

    job: Job
    store: Callable[[], Store]
    progress: Callable[[Step], None]
    threads: int
    page: bool
    checkpoint: Checkpoint

    def made_in(self, work: WorkFolder, out: Path) -> Prediction:
        """The prediction, begun or gone on with in a working folder."""
        document = self.job.document()
        run = work.run(run_name(document))
        began_at_s = begun(work, document)
        with ThreadPoolExecutor(1, "ahead") as ahead:  # while files are read
            engine = ahead.submit(self._engine)
            ahead.submit(import_results, page=self.page)
            plan, packed = self._planned(work, run)
            seen = self._told("predicting", plan.rows)
            predict_shards(run, plan, engine.result, self.threads, work.root, seen)
        self._told("merging", plan.rows)(0)
        results = finish(work, run, out, self.threads, began_at_s, page=self.page)
        self._told("merging", plan.rows)(plan.rows)
        return Prediction(out=out, packed=packed, **vars(results))

    def _engine(self) -> Engine:
        """The model in its library's hands."""
        how = self.job.inference
        engine = Engine(
            self.checkpoint,
            self.threads,
            name=how.engine,
            precision=how.precision,
            batch_size=how.batch_size,
        )
        self.checkpoint.let_go()
        return engine

    def _planned(self, work: WorkFolder, run: RunStore) -> tuple[Plan, Packed | None]:
        """The plan, as an earlier call left it or made now."""
        packed = None
        if not work.planned:
            plan, packed = self._made_plan(work, run.folder.run)
            run.plan_once(plan)
        return run.plan(), packed

    def _made_plan(self, work: WorkFolder, run: str) -> tuple[Plan, Packed | None]:
        """The plan, with all input on this machine and in partitions."""
        job = self.job
        ready = ready_partitions(job.given, work, self.store, self.progress)
        manifest = manifest_here(
            ready.files,
            Path(job.model.name),
            job.inference.as_manifest(ready.rows),
            "auto" if job.given.check_pixels else "warn",
            lacking_percent=100.0,
        )
        store, limits = LocalStore({HERE: Path("/")}), limits_here(MOST_SHARDS)
        names = tuple(file.name for file in job.given.inputs.files)
        words = OwnWords(names, job.model.name, work.partitions)
        try:
            plan = whole_plan(manifest, store, limits, run).plan
        except InvalidInput as error:
            raise words.problems(error.problems) from error
        warnings = (*job.warnings(ready.packed), *map(words.text, plan.warnings))
        update = {"dataset": job.given.dataset, "warnings": warnings}
        return plan.model_copy(update=update), ready.packed

    def _told(self, phase: Phase, of: int) -> Callable[[int], None]:
        return lambda done: self.progress(Step(phase, done, of))


def rows_kept(out: Path | str) -> tuple[int, int] | None:
    """Rows that a call which was stopped has predicted, and those there are; None: nothing is kept.

    Args:
        out: Folder of the results.
    """
    work = WorkFolder(Path(out) / NAME)
    job = work.job() if work.root.is_dir() else None
    if job is None:
        return None
    if not work.planned:
        return 0, 0
    run = work.run(run_name(job["job"]))
    plan = run.plan()
    return sum(record.rows for record in run.records(plan.world_size)), plan.rows
