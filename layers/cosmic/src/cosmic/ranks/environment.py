"""The execution environment of ranks: what outlives an invocation."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Self

from cosmic.contracts.location import Location
from cosmic.contracts.plan import PlanSettings
from cosmic.contracts.vcpus import threads_for_memory
from cosmic.errors import InputError
from cosmic.model.baked import baked_checkpoint
from cosmic.model.checkpoint import Checkpoint, load_checkpoint
from cosmic.model.engine import Engine, preload
from cosmic.ranks.session import Messaging
from cosmic.storage.interfaces import Writable

EngineKey = tuple[str, str, str, int]
BAKED = "model"
MODEL_ATTEMPTS = 3

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


@dataclass
class RankEnvironment:
    """The execution environment: what outlives an invocation.

    Attributes:
        init_s: Age of the process when it was ready for its first invocation.
        init_cpu_s: The processor's time that it had taken by then.
        baked: The image's folder of checkpoints.
    """

    store: Writable
    messaging: Messaging
    memory_mb: int
    init_s: float
    ready_at_s: float
    baked: Path = Path(BAKED)
    invocations: int = 0
    init_cpu_s: float = field(default_factory=time.process_time)
    _engines: dict[EngineKey, Engine] = field(default_factory=dict)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], store: Writable, secrets: SecretsManagerClient
    ) -> Self:
        """Read `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, `LAMBDA_TASK_ROOT` and the `FMI_*` variables."""
        memory_mb = int(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
        messaging = Messaging.from_environment(environment, secrets)
        baked = Path(environment.get("LAMBDA_TASK_ROOT", "")) / BAKED
        return cls(store, messaging, memory_mb, process_age_s(), time.time(), baked)

    def engine(self, plan: PlanSettings, model_came: Callable[[], object] = lambda: None) -> Engine:
        """The engine of a run: kept by the checkpoint's checksum while the environment is warm.

        Args:
            plan: The run's.
            model_came: Called when no more of the model is on its way here.

        Raises:
            InputError: the checkpoint is gone, or is not the one that was planned, or the planned
                engine or precision is not available here.
        """
        model, threads = plan.model, threads_for_memory(self.memory_mb)
        key = (model.sha256, plan.engine, plan.precision, plan.batch_size)
        if key not in self._engines:
            self._engines = {}  # not two models at once
            checkpoint = self._checkpoint(plan)
            model_came()
            engine = Engine(
                checkpoint,
                threads,
                name=plan.engine,
                precision=plan.precision,
                batch_size=plan.batch_size,
            )
            checkpoint.let_go()  # the library has its own arrangement of them
            self.keep(engine)
        model_came()
        return self._engines[key]

    def keep(self, engine: Engine) -> None:
        """Have an engine that was made elsewhere, as if a run had been planned with it here."""
        key = (engine.sha256, engine.name, engine.precision, engine.batch_size)
        self._engines = {key: engine}

    def _checkpoint(self, plan: PlanSettings) -> Checkpoint:
        """The model, had while the engine's library is imported."""
        with ThreadPoolExecutor(1, "library") as aside:
            library = aside.submit(preload, plan.engine)
            checkpoint = baked_checkpoint(self.baked, plan.model) or self._downloaded(plan)
            library.result()
        return checkpoint

    def _downloaded(self, plan: PlanSettings) -> Checkpoint:
        model = plan.model
        with TemporaryFile() as file:
            file.truncate(model.bytes)
            data = mmap.mmap(file.fileno(), model.bytes)
        at = Location(model.bucket, model.key)
        source = self.store.paid_by(plan.request_payer)
        for attempt in range(MODEL_ATTEMPTS):  # it may have been damaged on its way here alone
            source.read_into(memoryview(data), at, 0, etag=model.etag)
            try:
                return load_checkpoint(data, model.sha256)
            except InputError as error:
                if error.code != "checkpoint-checksum" or attempt == MODEL_ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")


def process_age_s() -> float:
    """Seconds since the kernel started this process (proc(5), field 22 of stat)."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(stat[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s
