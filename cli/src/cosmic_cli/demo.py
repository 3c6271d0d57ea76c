"""The whole product on one machine: render a sample, drop a manifest, get a catalogue."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress

from cosmic.client.deployment import Deployment
from cosmic.client.results import download
from cosmic.contracts.status import Status
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.errors import InputError
from cosmic_cli.views.run import show_progress

OBJECTS_PER_PARTITION = 300
CHECKPOINT = Path("models/tiny/astromae-tiny.safetensors")
TEMPLATE = Path("template.yaml")


@dataclass(frozen=True)
class DemoOptions:
    """What the demo runs.

    Attributes:
        root: The project's folder: template, functions, checkpoint.
        results: Folder that the run's results are copied to.
        world_size: Number of ranks.
        objects: Held-out real galaxies to render; None takes all of them.
    """

    root: Path
    results: Path
    world_size: int = 4
    objects: int | None = None


def run_demo(options: DemoOptions, console: Console) -> tuple[Status, Path]:
    """Run the demo; everything but the results is gone when it ends, however it ends.

    Returns:
        The final status and the folder with the results.

    Raises:
        CosmicError: something could not be started, or the project's folder is not one.
    """
    for needed in (TEMPLATE, CHECKPOINT):
        if not (options.root / needed).is_file():
            raise InputError(
                f"{options.root / needed} does not exist",
                code="no-project",
                hint="run the demo in the project's folder, or give --root",
            )
    with ExitStack() as cleanup:
        scratch = Path(cleanup.enter_context(TemporaryDirectory(prefix="cosmic-demo-")))
        console.print("starting the local stack from template.yaml")
        deployment = cleanup.enter_context(Deployment.start(options.root / TEMPLATE))
        partitions = _render(options, scratch, console)
        manifest = _upload(deployment, options, partitions, scratch)
        console.print(f"dropping {manifest.name} into s3://{deployment.bucket}/manifests/")
        run = deployment.submit(manifest)
        status = show_progress(run.watch(), console)
        return status, download(run.stack.store(), run.folder, status, options.results)


def _render(options: DemoOptions, scratch: Path, console: Console) -> list[Path]:
    sample = Sample("catalog", objects=options.objects, split="test")
    console.print(
        f"rendering {len(sample)} held-out galaxies: real SDSS photometry and redshifts, "
        "simulated pixels"
    )
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("rendering", total=len(sample))
        return write_dataset(
            scratch / "data",
            sample,
            OBJECTS_PER_PARTITION,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def _upload(
    deployment: Deployment, options: DemoOptions, partitions: list[Path], scratch: Path
) -> Path:
    checkpoint = options.root / CHECKPOINT
    model = deployment.upload(checkpoint, f"models/{checkpoint.name}")
    for path in partitions:
        deployment.upload(path, f"data/demo/{path.name}")
    document = {
        "version": 1,
        "job": "demo",
        "model": {"uri": model, "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()},
        "data": {"uri": f"s3://{deployment.bucket}/data/demo/", "expect": len(partitions)},
        "inference": {"world_size": options.world_size},
    }
    manifest = scratch / "demo.json"
    manifest.write_text(json.dumps(document, indent=1))
    return manifest
