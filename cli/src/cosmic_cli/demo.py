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

from cosmic.contracts.location import Location
from cosmic.contracts.status import Status
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.errors import InputError
from cosmic_cli.download import download
from cosmic_cli.submission import follow, submit
from cosmic_cli.target import Target, local_target
from cosmic_cli.views.run import show_progress
from cosmic_local.stack import LocalStack

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
                f"{options.root / needed} is not there",
                code="no-project",
                hint="run the demo in the project's folder, or give --root",
            )
    with ExitStack() as cleanup:
        scratch = Path(cleanup.enter_context(TemporaryDirectory(prefix="cosmic-demo-")))
        console.print("starting the local stack from template.yaml")
        stack = cleanup.enter_context(LocalStack(template=options.root / TEMPLATE, rendezvous=True))
        target = local_target(stack)
        partitions = _render(options, scratch, console)
        manifest = _upload(target, options, partitions, scratch)
        console.print(f"dropping {manifest.name} into s3://{target.bucket}/manifests/")
        folder = submit(target, manifest)
        status = show_progress(follow(target, folder), console)
        place = download(target.store(), folder, status, options.results)
    return status, place


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


def _upload(target: Target, options: DemoOptions, partitions: list[Path], scratch: Path) -> Path:
    store = target.store()
    checkpoint = options.root / CHECKPOINT
    model = Location(target.bucket, f"models/{checkpoint.name}")
    store.upload(checkpoint, model)
    for path in partitions:
        store.upload(path, Location(target.bucket, f"data/demo/{path.name}"))
    document = {
        "version": 1,
        "job": "demo",
        "model": {
            "uri": model.uri,
            "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        },
        "data": {"uri": f"s3://{target.bucket}/data/demo/", "expect": len(partitions)},
        "inference": {"world_size": options.world_size},
    }
    manifest = scratch / "demo.json"
    manifest.write_text(json.dumps(document, indent=1))
    return manifest
