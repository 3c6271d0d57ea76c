"""What the rendezvous keeps: a job, its members, and what each of them claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fmilib.rendezvous.collective_log import CollectiveLog
from fmilib.wire.control_frames import Message
from fmilib.wire.failure import FailureReport

MAX_NAMED_MISSING = 64
Post = Callable[[Message], None]


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A rank isn't let in; `message` is what it is told."""

    def __init__(
        self, code: str, text: str, *, newer: int = 0, failure: FailureReport | None = None
    ) -> None:
        super().__init__(code, text)
        facts = failure.message() if failure else {}
        self.message: Message = {**facts, "t": "refused", "code": code, "text": text}
        self.message["newer"] = newer


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rank says when it registers.

    Attributes:
        job, rank, size: which place in which job.
        generation: which attempt of this rank.
        instance: names the process, so that it may come back over a new connection.
        address: where it listens for links.
        lease_s: after how long without a sign of life it counts as lost.
        epoch: the forming it already belongs to, 0 for none.
        seen: where its port for links is seen from here, None if that isn't known.
        rejoin: whether it forms a failed job anew, and waits itself for those who don't come.
    """

    job: str
    rank: int
    size: int
    generation: int
    instance: str
    address: tuple[str, int]
    lease_s: float
    epoch: int
    seen: tuple[str, int] | None = None
    rejoin: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a rank says that won't come.

    Attributes:
        job, rank, size: which place in which job.
        generation: which attempt of this rank.
        reason: why, in words.
    """

    job: str
    rank: int
    size: int
    generation: int
    reason: str


@dataclass(eq=False, slots=True)
class Member:
    """One registered rank and the way to reach it.

    Attributes:
        shifting: whether its public port changes with whom it calls.
    """

    claim: Claim
    post: Post
    drop: Callable[[], None]
    seen_at: float
    rtt_s: Callable[[], float] = lambda: 0.0
    hears_losses: bool = False
    shifting: bool = False

    @property
    def hidden(self) -> bool:
        """Whether it is seen elsewhere than where it listens."""
        return self.claim.seen is not None and self.claim.seen != self.claim.address

    @property
    def peer_entry(self) -> list[object]:
        """Return [rank, host, port], and the public host and port if they are others."""
        claim = self.claim
        return [claim.rank, *claim.address, *(claim.seen or () if self.hidden else ())]


@dataclass(eq=False, slots=True)
class Job:
    """One job's members and fate.

    Attributes:
        members: who is connected.
        left: who left in good order after the forming.
        floor: the newest generation seen of each rank.
        epoch: number of the forming, 0 before it.
        failure: the first failure, if any; the job is over then.
        expires_at: when a failed job is forgotten.
        former: how the job of this name before it failed, None if it didn't.
        lost: causes of all ranks that were lost after the forming.
        came_at: when the last rank came.
        instances: all processes that were members.
        withdrawn: whether one of its ranks said that it won't come; no attempt forms it anew then.
        relayed_bytes: what its ranks sent through the relay.
        doing: which collectives its ranks are in.
    """

    name: str
    size: int
    members: dict[int, Member] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    floor: dict[int, int] = field(default_factory=dict)
    epoch: int = 0
    failure: FailureReport | None = None
    expires_at: float = 0.0
    former: FailureReport | None = None
    lost: dict[int, str] = field(default_factory=dict)
    came_at: float = 0.0
    instances: set[str] = field(default_factory=set)
    withdrawn: bool = False
    relayed_bytes: int = 0
    doing: CollectiveLog = field(default_factory=CollectiveLog)

    def missing(self) -> list[int]:
        """Return the ranks that aren't there, ascending, the first 64."""
        away = (rank for rank in range(self.size) if rank not in self.members)
        return [rank for rank, _ in zip(away, range(MAX_NAMED_MISSING), strict=False)]
