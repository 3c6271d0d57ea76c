"""What ranks do together once each has its predictions.

The metrics' statistics are added up by an allreduce and, where the plan says that they fit, all
rows are gathered on rank 0. Both are an accelerator: every rank's shard is already in S3, so a
failure here costs no prediction and the run is marked as degraded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import fmilib
from cosmic.contracts.plan import Plan, PlanPart
from cosmic.errors import CommunicationError, InputError, TransientError
from cosmic.metrics.statistics import Statistics

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

log = logging.getLogger(__name__)
SHORTEST_WAIT_S = 1.0
WITHDRAW_S = 5.0  # half of what a rank keeps of its time
S3_CHANNEL_PREFIX = "fmi"


@dataclass(frozen=True)
class Messaging:
    """How this deployment's ranks find and trust each other.

    Attributes:
        rendezvous: `host:port` of the rendezvous server.
        secret_hex: The deployment secret, where the environment holds it (never in the cloud).
        secret_arn: Else, the secret in Secrets Manager.
        secrets: Who is asked for that one.
    """

    rendezvous: str = ""
    secret_hex: str = ""
    secret_arn: str = ""
    secrets: SecretsManagerClient | None = None

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], secrets: SecretsManagerClient
    ) -> Messaging:
        """Read `FMI_RENDEZVOUS`, `FMI_DEPLOYMENT_SECRET` and `FMI_SECRET_ARN`."""
        return cls(
            environment.get("FMI_RENDEZVOUS", ""),
            environment.get("FMI_DEPLOYMENT_SECRET", ""),
            environment.get("FMI_SECRET_ARN", ""),
            secrets,
        )

    @cached_property
    def deployment_secret(self) -> bytes:
        """The secret from which each run's own is derived.

        Raises:
            InputError: the deployment has none.
        """
        if self.secret_hex:
            return bytes.fromhex(self.secret_hex)
        if not self.secret_arn or self.secrets is None:
            raise InputError("no FMI secret", code="no-secret", hint="set FMI_SECRET_ARN")
        secret: str = self.secrets.get_secret_value(SecretId=self.secret_arn)["SecretString"]
        return secret.encode()


@dataclass(frozen=True)
class RankSession:
    """One rank's place among those of a run.

    Attributes:
        bucket: Where the s3 channel keeps messages.
        generation: Of this rank; a newer one fences an older one that still lives.
    """

    messaging: Messaging
    plan: Plan | PlanPart
    bucket: str
    rank: int
    generation: int

    def connect(self, timeout_s: float, purpose: str = "") -> fmilib.Communicator:
        """Join the run's other ranks, over the channel that was planned.

        Over `direct` it doesn't wait for the others: `formed` says when all are there.

        Args:
            timeout_s: For joining and for each wait.
            purpose: Names a job of the run beside that of its closing.

        Raises:
            fmilib.FmiError: they, or the server, could not be reached in time.
            InputError: the deployment has no secret.
        """
        plan = self.plan
        job = f"{plan.run}/{purpose}" if purpose else plan.run
        return fmilib.connect(**self._place(job), timeout_s=timeout_s, wait=False)

    def withdraw(self, reason: str) -> None:
        """Tell the run's other ranks that this one won't come, so that they don't wait for it.

        Args:
            reason: Why, in words.

        Raises:
            fmilib.FmiError: they could not be told.
            InputError: the deployment has no secret.
        """
        if self.plan.channel != "none":
            fmilib.withdraw(reason, timeout_s=WITHDRAW_S, **self._place(self.plan.run))

    def _place(self, job: str) -> dict[str, Any]:
        """This rank's place in a job, as fmilib is told it."""
        plan = self.plan
        return {
            "rank": self.rank,
            "size": plan.world_size,
            "job": job,
            "secret": fmilib.derive_secret(self.messaging.deployment_secret, job),
            "channel": plan.channel,
            "rendezvous": self.messaging.rendezvous,
            "store": f"{self.bucket}/{S3_CHANNEL_PREFIX}" if plan.channel == "s3" else None,
            "generation": self.generation,
        }


@contextmanager
def withdrawing_on_failure(session: RankSession) -> Iterator[None]:
    """Where what is done in it fails for good, tell the other ranks at once; then it is raised.

    A `TransientError` is not for good: the state machine tries the rank again.
    """
    try:
        yield
    except TransientError:
        raise
    except Exception as error:
        try:
            session.withdraw(f"it failed for good: {error}")
        except Exception:  # whatever it is, the failure itself is what counts
            log.warning("the others will wait for rank %d in vain", session.rank, exc_info=True)
        raise


@dataclass(frozen=True)
class ReductionResult:
    """What a rank knows after the closing collective.

    Attributes:
        statistics: Of all ranks' rows.
        shards: All ranks' shards by rank, on rank 0 of a plan that gathers; else empty.
        joined_at_s: When all ranks had come.
        stats: fmilib's own figures: messages, bytes, waits.
    """

    statistics: Statistics
    shards: tuple[bytes, ...]
    joined_at_s: float
    left_at_s: float
    stats: dict[str, Any]


def close_together(
    session: RankSession,
    statistics: Statistics,
    shard: bytes,
    timeout_s: float,
    meanwhile: Callable[[], None],
) -> ReductionResult:
    """Join the other ranks, add up the statistics and gather the shards.

    Args:
        timeout_s: For joining and for each collective.
        meanwhile: Called again and again until all ranks have come.

    Raises:
        CommunicationError: the ranks lost each other, or time ran out. Nothing is lost.
    """
    if timeout_s < SHORTEST_WAIT_S:
        raise CommunicationError("no time left to wait for other ranks")
    try:
        give_up = time.monotonic() + timeout_s
        with session.connect(timeout_s) as comm:
            while not comm.formed and time.monotonic() < give_up:
                meanwhile()
            comm.form()
            joined_at_s = time.time()
            sums = comm.allreduce(statistics.sums, op="sum", deterministic=True)
            histogram = comm.allreduce(statistics.histogram, op="sum")
            gathered = comm.gather(np.frombuffer(shard, np.uint8)) if session.plan.gather else None
            stats = comm.stats()
    except fmilib.FmiError as error:
        raise CommunicationError(f"{type(error).__name__}: {error}") from error
    return ReductionResult(
        Statistics(sums, histogram),
        tuple(part.tobytes() for part in gathered or ()),
        joined_at_s,
        time.time(),
        asdict(stats),
    )
