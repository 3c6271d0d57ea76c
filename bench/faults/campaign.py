"""Runs of the deployed product under faults, and what became of each."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from bench.faults.proxy import BIT_FLIP, ON_ITS_WAY, FaultyS3, faulty_s3
from cosmic.client.deployment import Deployment
from cosmic.client.run import Run
from cosmic.client.stack import of_local
from cosmic.contracts.status import State, Status
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.errors import CosmicError, InputError
from cosmic_local.stack import LocalStack

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/tiny/astromae-tiny.safetensors"
OBJECTS, PARTITION_ROWS, RANKS = 96, 48, 3
LONGEST_S = 120.0
MOST_HITS = (
    2  # fewer than the tries of any function: an event that fails three times is kept, not run
)
KILLS = "a process is killed or frozen"
FAULTS = "10-30 % of S3's replies are faults"
FLIPS = "10-30 % of S3's replies have a flipped bit"
KINDS = (KILLS, FAULTS, FLIPS)
WHOLE, RESUMED, NAMED, LOST = "whole", "whole after resume", "named error", "lost"


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        end: `WHOLE`: the undisturbed catalogue; `RESUMED`: a named error, then that after
            `cosmic resume`; `NAMED`: an error that names its reason; else `LOST`.
        faults: What was caused, and how often.
        why: The error, or what is lost.
    """

    seed: int
    kind: str
    end: str
    faults: dict[str, int]
    why: str = ""
    took_s: float = 0.0


@dataclass
class Campaign:
    """A deployment to hurt, and the catalogue that its runs have to come to."""

    deployment: Deployment
    stack: LocalStack
    s3: FaultyS3
    wanted: pa.Table = field(default_factory=lambda: pa.table({}))

    def drop(self) -> Run:
        """Submit the manifest."""
        at = f"s3://{self.deployment.bucket}"
        return self.deployment.submit(
            {
                "version": 1,
                "job": f"faults-{uuid.uuid4().hex[:8]}",
                "model": {"uri": f"{at}/models/tiny.safetensors"},
                "data": {"uri": f"{at}/data/"},
                "inference": {"world_size": RANKS, "batch_size": 16},
                "fmi": {"timeout_s": 3},
            }
        )

    def undisturbed(self) -> None:
        """Let a run end, and keep its catalogue as the right one."""
        run = self.drop()
        status = _end_of(run)
        if status.state is not State.SUCCEEDED:
            raise RuntimeError(f"the undisturbed run is {status.state.value}: {status.problems}")
        self.wanted = _catalogue(run)

    def try_one(self, seed: int, kind: str) -> Outcome:
        """A run under faults of one kind."""
        draw = random.Random(f"{seed} {kind}")  # noqa: S311
        before, began = Counter(self.s3.caused), time.monotonic()
        hurt = Hurt(self.stack, draw)
        share = draw.uniform(0.1, 0.3)
        with self._under(kind, draw, share, hurt):
            end, why, run = self._judged(self.drop)
        if end == NAMED:
            end, why = self._after_resume(run, why)
        faults = dict(Counter(self.s3.caused) - before) | dict(hurt.caused)
        return Outcome(seed, kind, end, faults, why, time.monotonic() - began)

    @contextmanager
    def _under(self, kind: str, draw: random.Random, share: float, hurt: Hurt) -> Iterator[None]:
        if kind == KILLS:
            with hurt.at_random():
                yield
        else:
            kinds = (BIT_FLIP,) if kind == FLIPS else ON_ITS_WAY
            with self.s3.spoiling(draw.getrandbits(32), kinds, share):
                yield

    def _judged(self, begin: Callable[[], Run]) -> tuple[str, str, Run]:
        run = begin()
        try:
            status = _end_of(run)
        except CosmicError as error:
            return LOST, f"{run.id} did not end: {error}", run
        if status.state is State.SUCCEEDED:
            whole = _catalogue(run).equals(self.wanted)
            return (WHOLE, "", run) if whole else (LOST, "the catalogue is another", run)
        why = _reason(status)
        return (NAMED if why else LOST), why or f"{status.state.value} without a reason", run

    def _after_resume(self, run: Run, why: str) -> tuple[str, str]:
        """What a run that failed comes to when the faults are over."""
        try:
            run.resume()
        except InputError as error:
            return NAMED, f"{why}; resume: {error}"  # such as: there is nothing to resume
        end, later, _ = self._judged(lambda: run)
        return (RESUMED, why) if end == WHOLE else (end, f"{why}; after resume: {later}")


class Hurt:
    """Kills or freezes processes that serve a run."""

    def __init__(self, stack: LocalStack, draw: random.Random) -> None:
        self._stack, self._draw = stack, draw
        self._over = threading.Event()
        self.caused: Counter[str] = Counter()

    @contextmanager
    def at_random(self) -> Iterator[None]:
        """Hurt one or two processes at random moments while the block lasts."""
        thread = threading.Thread(target=self._hurt)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _hurt(self) -> None:
        for _ in range(self._draw.randint(1, MOST_HITS)):
            while not (victims := self._victims()) and not self._over.is_set():
                self._over.wait(0.01)
            if self._over.wait(self._draw.uniform(0.0, 1.0)):
                return
            victims = self._victims()
            if victims:
                self._hit(self._draw.choice(victims))

    def _victims(self) -> list[int]:
        """The processes of invocations that are being served, and the rendezvous server."""
        serving = sorted(int(found["pid"]) for found in self._stack.running() if found["pid"])
        if not serving:
            return []
        beside = [
            child.pid
            for child in psutil.Process(self._stack.info.pid).children()
            if "fmilib.rendezvous" in _command(child)
        ]
        return serving + beside

    def _hit(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            if self._draw.random() < 0.6:
                os.kill(pid, signal.SIGKILL)
                self.caused["killed"] += 1
                return
            os.kill(pid, signal.SIGSTOP)
            self.caused["frozen"] += 1
            self._over.wait(self._draw.uniform(0.1, 4.0))
            os.kill(pid, signal.SIGCONT)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _end_of(run: Run) -> Status:
    """A run's final status.

    Raises:
        CosmicError: it hasn't ended in `LONGEST_S`, or nothing comes of it any more.
    """
    until = time.monotonic() + LONGEST_S
    for snapshot in run.watch():
        ended = snapshot.status is not None and snapshot.status.state.final
        if time.monotonic() > until and not ended:  # its page may still be drawn
            phase = snapshot.progress.phase
            raise CosmicError(f"still {phase} after {LONGEST_S:g} s", code="stuck")
    return run.status()


def _catalogue(run: Run) -> pa.Table:
    body = run.stack.store().get(run.folder.at("catalogue.parquet"))
    return pq.read_table(io.BytesIO(body)).replace_schema_metadata(None)


def _reason(status: Status) -> str:
    """What a run says of its end, in one line."""
    said = [str(m["reason"]) for m in status.missing] + [str(p["message"]) for p in status.problems]
    return next((text for text in said if text), "")


@contextmanager
def deployed() -> Iterator[Campaign]:
    """The product on this machine, its functions behind a proxy of S3; gone with the block."""
    with faulty_s3() as s3, TemporaryDirectory() as scratch:
        environment = {"AWS_ENDPOINT_URL_S3": s3.url}
        template = ROOT / "template.yaml"
        with LocalStack(template, environment=environment, rendezvous=True) as stack:
            s3.upstream = stack.endpoint_url
            deployment = Deployment(replace(of_local(stack), poll_s=0.05))
            deployment.upload(MODEL, "models/tiny.safetensors")
            sample = Sample("catalog", objects=OBJECTS, split="test")
            for path in write_dataset(Path(scratch), sample, PARTITION_ROWS):
                deployment.upload(path, f"data/{path.name}")
            yield Campaign(deployment, stack, s3)
