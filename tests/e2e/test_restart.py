"""A stack with `--data` that is killed in the middle of a run, and the one that follows it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from cosmic.client.executions import cancel, resume
from cosmic.client.list_runs import list_runs
from cosmic.client.stack import of_local
from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.errors import InputError
from cosmic_local.errors import StackError
from cosmic_local.stack import LocalStack

from .conftest import CHECKPOINT, ROOT, Cosmic, Run

ROWS = 64
TWO = {"inference": {"world_size": 2, "batch_size": 32, "limit_rows": ROWS}}


def deployed(stack: LocalStack, data: Path) -> Cosmic:
    return Cosmic(stack, of_local(stack), data, rows=ROWS)


def states(cosmic: Cosmic) -> dict[str, str]:
    return {run.run: run.state for run in list_runs(cosmic.target, "runs/", 10)}


def test_runs_outlive_the_stack(tmp_path: Path) -> None:
    kept, images = tmp_path / "kept", tmp_path / "images"
    images.mkdir()
    write_dataset(images, Sample("catalog", ROWS), ROWS)
    template = ROOT / "template.yaml"
    with LocalStack(template, tmp_path / "1", rendezvous=True, data=kept) as stack:
        first = deployed(stack, images)
        first.store.upload(CHECKPOINT, Location(first.bucket, "models/tiny.safetensors"))
        for path in images.iterdir():
            first.store.upload(path, Location(first.bucket, f"data/{path.name}"))
        whole = first.drop(first.manifest(**TWO))
        assert whole.wait().state is State.SUCCEEDED
        catalogue = whole.object("catalogue.parquet")
        with pytest.raises(StackError, match="another stack uses the data in"):
            LocalStack(template, tmp_path / "2", data=kept).start()
        (rendezvous,) = (
            child
            for child in psutil.Process(stack.info.pid).children(recursive=True)
            if "fmilib.rendezvous" in child.cmdline()
        )
        rendezvous.suspend()  # so that the ranks wait for each other, and the run goes on
        broken = first.drop(first.manifest(**TWO))
        first.serving(broken.folder.run, rank=1)
        os.kill(stack.info.pid, signal.SIGKILL)
        rendezvous.kill()
    with LocalStack(template, tmp_path / "3", rendezvous=True, data=kept) as stack:
        cosmic = deployed(stack, images)
        assert Run(cosmic, whole.folder).object("catalogue.parquet") == catalogue
        again = Run(cosmic, broken.folder)
        status = again.wait()
        assert status.state is State.FAILED
        assert "the local stack was stopped" in str(status)
        assert states(cosmic) == {whole.folder.run: "SUCCEEDED", broken.folder.run: "FAILED"}
        with pytest.raises(InputError, match="has ended already"):
            cancel(cosmic.target, broken.folder, status)
        resume(cosmic.target, again.folder, status)
        assert again.wait().state is State.SUCCEEDED
        assert again.catalogue().num_rows == ROWS
        assert list_runs(cosmic.target, "runs/", 10)[0].execution.endswith("-r1")
