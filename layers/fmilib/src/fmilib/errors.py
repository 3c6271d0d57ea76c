"""What can go wrong between ranks: one base class, one class a family.

Every error carries its facts as attributes and in `args`, so it survives a copy
or a trip between processes, and its text names the ranks involved.
"""

from __future__ import annotations


class FmiError(RuntimeError):
    """Base of everything that fmilib raises on purpose (besides ValueError and TypeError).

    A RuntimeError, as what the published library raises, so that programs for it catch it.
    """

    code = "fmi"


class PeerFailed(FmiError):  # noqa: N818 - named by the interface
    """A rank of the job is gone: it died, froze, was cut off, or left too early.

    Attributes:
        rank: the rank that failed.
        cause: what was seen of it, in words.
    """

    code = "peer_failed"

    def __init__(self, rank: int, cause: str) -> None:
        super().__init__(rank, cause)
        self.rank = rank
        self.cause = cause

    def __str__(self) -> str:
        return f"rank {self.rank} failed: {self.cause}"


class Aborted(FmiError):  # noqa: N818 - named by the interface
    """The job was stopped on purpose, by a rank or by a deadline.

    Attributes:
        rank: the rank that stopped it.
        reason: why, in words.
    """

    code = "aborted"

    def __init__(self, rank: int, reason: str) -> None:
        super().__init__(rank, reason)
        self.rank = rank
        self.reason = reason

    def __str__(self) -> str:
        return f"rank {self.rank} stopped the job: {self.reason}"


class Timeout(FmiError):  # noqa: N818 - named by the interface
    """A wait reached its bound.

    Attributes:
        op: the operation that waited.
        waiting_for: the ranks that it waited for.
    """

    code = "timeout"

    def __init__(self, op: str, waiting_for: tuple[int, ...]) -> None:
        super().__init__(op, waiting_for)
        self.op = op
        self.waiting_for = waiting_for

    def __str__(self) -> str:
        names = ", ".join(str(rank) for rank in self.waiting_for) or "the rendezvous"
        return f"{self.op} gave up waiting for: {names}"


class MismatchError(FmiError):
    """Two ranks called different things: operation, root, dtype, size or reduction."""

    code = "mismatch"


class AuthError(FmiError):
    """The other side could not prove that it knows the job's secret."""

    code = "auth"


class RendezvousError(FmiError):
    """The rendezvous can't be reached, refused this rank, or spoke nonsense."""

    code = "rendezvous"


class StaleGeneration(FmiError):  # noqa: N818 - named by the interface
    """A newer attempt of this rank exists; this one must stop.

    Attributes:
        generation: this attempt's number.
        newer: the number that fences it.
    """

    code = "stale_generation"

    def __init__(self, generation: int, newer: int) -> None:
        super().__init__(generation, newer)
        self.generation = generation
        self.newer = newer

    def __str__(self) -> str:
        return f"generation {self.generation} of this rank is fenced by generation {self.newer}"
