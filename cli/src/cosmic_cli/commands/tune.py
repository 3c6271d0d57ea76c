"""`cosmic tune`: what a run would take on Lambda, and how best to run it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from cosmic.calibration.measure import Calibration, measure
from cosmic.calibration.tune import tune as tune_job
from cosmic.client.defaults import STATE_DIR
from cosmic.client.manifests import read_file
from cosmic.contracts.engines import Architecture, EngineName, Precision, choose_engine
from cosmic.costs.card_figures import Runs
from cosmic.costs.measured import Measured, unlike
from cosmic.costs.tune import Constraints
from cosmic.costs.workload import Workload, earlier, of_folder, of_manifest, of_rows
from cosmic.errors import InputError
from cosmic_cli.demo import CHECKPOINT
from cosmic_cli.exit_codes import err, out, show_json
from cosmic_cli.options import AsJson, find_deployment
from cosmic_cli.views.tuning import show

Rows = Annotated[int | None, typer.Option(min=1, help="Rows of the run.")]
Data = Annotated[Path | None, typer.Option(help="Or a folder of partitions on this machine.")]
AManifest = Annotated[
    Path | None, typer.Option(help="Or a manifest, whose data are looked up in the bucket.")
]
Model = Annotated[Path | None, typer.Option(help="Checkpoint to measure.")]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="A run's metrics.json, an earlier --json, or a model's card; nothing is measured.",
    ),
]
AnyEngine = EngineName | Literal["auto"]
Engine = Annotated[
    Literal["auto", "openvino", "onnxruntime", "torch"], typer.Option(help="Engine to measure.")
]
Bits = Annotated[Precision, typer.Option(help="Precision to measure in.")]
MaxMemory = Annotated[
    int, typer.Option(min=1024, max=10_240, help="Largest memory of a rank's function, in MB.")
]
MaxConcurrency = Annotated[
    int, typer.Option(min=1, max=10_000, help="Maximum number of ranks at once.")
]
Deadline = Annotated[
    float | None, typer.Option(min=0.0, help="Longest acceptable duration of the run, in seconds.")
]
Processor = Annotated[
    Architecture,
    typer.Option(help="Processor of the ranks, for the price; give its speed with --vcpu-speed."),
]
Warm = Annotated[bool, typer.Option("--warm", help="Assume warm environments.")]
Speed = Annotated[
    float, typer.Option(min=0.01, help="Speed of a Lambda vCPU relative to a core here.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Look up the manifest's data in the local stack.")
]


def tune(
    rows: Rows = None,
    data: Data = None,
    manifest: AManifest = None,
    model: Model = None,
    measured_before: From = None,
    engine: Engine = "auto",
    precision: Bits = "float32",
    max_memory: MaxMemory = 10_240,
    max_concurrency: MaxConcurrency = 1000,
    deadline: Deadline = None,
    warm: Warm = False,
    vcpu_speed: Speed = 1.0,
    architecture: Processor = "x86_64",
    local: Local = False,
    state_dir: Annotated[Path, typer.Option(help="The local stack's folder.")] = STATE_DIR,
    stack: Annotated[str, typer.Option(help="Name of the stack in AWS.")] = "cosmic",
    profile: Annotated[str | None, typer.Option(help="AWS profile.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict duration, memory and cost on Lambda; recommend configurations.

    Recommends the fastest, the cheapest and the best-value configuration. Starts nothing on AWS:
    the model is measured here for some seconds, the rest is computed (docs/tuning.md has the
    formulas).

    Example: cosmic tune --rows 659020 --max-concurrency 500

    JSON: {"version", "job", "measured", "modelled": {"platform", "recommended", "curve"}}
    """
    wanted = Runs(choose_engine(engine), precision)
    before, past = earlier(measured_before, wanted) if measured_before else (None, None)
    with TemporaryDirectory(prefix="cosmic-tune-") as scratch:
        copy = Path(scratch) / "model.safetensors"
        if manifest is not None and _one_of(rows, data, manifest):
            where = (local, state_dir, stack, profile, region)
            work = of_manifest(read_file(manifest), find_deployment(*where).stack.store(), copy)
        else:
            work = _here(rows, data, past)
        checkpoint = model or (copy if copy.exists() else CHECKPOINT)
        found = before or _measured(checkpoint, engine, precision, work.job.row_bytes)
        _same_model(found, copy)
    limits = Constraints(max_memory, max_concurrency, deadline, architecture)
    tuning = tune_job(work, found, limits, cold=not warm, vcpu_speed=vcpu_speed)
    if as_json:
        show_json(tuning.document())
    else:
        show(out, tuning)


def _here(rows: int | None, data: Path | None, past: Workload | None) -> Workload:
    if not _one_of(rows, data) and past is not None:
        return past
    if data is not None:
        return of_folder(data)
    if rows is None:
        raise InputError(
            "the number of rows is not known", hint="give --rows, --data or --manifest"
        )
    return of_rows(rows, past.job.row_bytes) if past else of_rows(rows)


def _same_model(found: Measured, named: Path) -> None:
    """Hold figures to the model that a manifest names, if there is one.

    Raises:
        InputError: they are of another model.
    """
    if not named.exists():
        return
    sha256 = hashlib.sha256(named.read_bytes()).hexdigest()
    reason = unlike(found, sha256, found.engine, found.precision)
    if reason:
        hint = "leave --model and --from out, to measure the manifest's own model here"
        raise InputError(reason, code="other-model", hint=hint)


def _one_of(*sources: object) -> bool:
    """Whether one is given.

    Raises:
        InputError: several are.
    """
    given = sum(source is not None for source in sources)
    if given > 1:
        raise InputError(f"{given} of --rows, --data and --manifest are given", hint="give one")
    return given == 1


def _measured(
    checkpoint: Path, engine: AnyEngine, precision: Precision, row_bytes: int
) -> Measured:
    wanted = Calibration(checkpoint, engine, precision)
    with err.status("measuring") as status:
        return measure(wanted, row_bytes, lambda what: status.update(f"measuring: {what}"))
