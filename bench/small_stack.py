"""A deployment on this machine with a small data set, and what its processes hold."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from cosmic.client.deployment import Deployment
from cosmic.client.run import Run
from cosmic.client.stack import of_local
from cosmic.contracts.status import Status
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic_local.stack import LocalStack

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models/tiny/astromae-tiny.safetensors"
MIB = 1 << 20
LOOK_S = 0.25


@dataclass(frozen=True)
class Held:
    """What a process and all that it started hold.

    Attributes:
        memory_mib: Sum of their proportional set sizes: shared pages count once.
        processes: How many they are.
        files: Descriptors of the first of them.
        threads: Threads of the first of them.
        own_mib: Memory of the first of them.
    """

    memory_mib: float
    processes: int
    files: int
    threads: int
    own_mib: float


def held(pid: int) -> Held:
    """What a process and all that it started hold now."""
    first = psutil.Process(pid)
    family = [first, *first.children(recursive=True)]
    sizes = [size for process in family if (size := _memory_mib(process))]
    return Held(sum(sizes), len(sizes), first.num_fds(), first.num_threads(), sizes[0])


def _memory_mib(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        found = process.memory_full_info()
        return float(getattr(found, "pss", found.uss)) / MIB
    return 0.0


class Peak:
    """The most that a stack has held while the block lasted."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.memory_mib, self.processes = 0.0, 0

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            now = held(self._pid)
            self.memory_mib = max(self.memory_mib, now.memory_mib)
            self.processes = max(self.processes, now.processes)

    def __enter__(self) -> Peak:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()


class Stored(NamedTuple):
    """How many objects there are, and their size."""

    objects: int
    mib: float


@dataclass(frozen=True)
class SmallStack:
    """The product with a data set of so many rows."""

    stack: LocalStack
    deployment: Deployment
    rows: int

    def run(self, ranks: int, batch: int) -> tuple[Run, Status]:
        """A run, to its end."""
        at = f"s3://{self.deployment.bucket}"
        run = self.deployment.submit(
            {
                "version": 1,
                "job": f"small-{uuid.uuid4().hex[:8]}",
                "model": {"uri": f"{at}/models/tiny.safetensors"},
                "data": {"uri": f"{at}/data/"},
                "inference": {"world_size": ranks, "batch_size": batch},
            }
        )
        for _ in run.watch():
            pass
        return run, run.status()

    def stored(self) -> Stored:
        """What is in the bucket, in all versions."""
        pages = self.stack.client("s3").get_paginator("list_object_versions")
        found = pages.paginate(Bucket=self.deployment.bucket)
        sizes = [v["Size"] for page in found for v in page.get("Versions", [])]
        return Stored(len(sizes), sum(sizes) / MIB)


@contextmanager
def small_stack(rows: int, concurrency: int) -> Iterator[SmallStack]:
    """The product on this machine; gone with the block."""
    template = ROOT / "template.yaml"
    with (
        TemporaryDirectory() as scratch,
        LocalStack(template, rendezvous=True, concurrency=concurrency) as stack,
    ):
        deployment = Deployment(replace(of_local(stack), poll_s=0.1))
        deployment.upload(MODEL, "models/tiny.safetensors")
        for path in write_dataset(Path(scratch), Sample("legacy", objects=rows), rows):
            deployment.upload(path, f"data/{path.name}")
        yield SmallStack(stack, deployment, rows)
