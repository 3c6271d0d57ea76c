"""What happened to a job, as ranks and the rendezvous tell it to each other."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fmilib.errors import Aborted, FmiError, MismatchError, PeerFailed, StaleGeneration

KINDS = ("lost", "aborted", "mismatch")
MAX_WORDS = 1000
FENCED = "fenced by its generation "


@dataclass(frozen=True, slots=True)
class FailureReport:
    """The first failure of a job.

    Attributes:
        kind: "lost" (a rank is gone), "aborted" (stopped on purpose) or "mismatch".
        rank: the rank that was lost, or that stopped the job.
        words: cause or reason.
    """

    kind: str
    rank: int
    words: str

    def error(self) -> FmiError:
        """Return the error that every surviving rank raises for it."""
        if self.kind == "lost":
            return PeerFailed(self.rank, self.words)
        if self.kind == "mismatch":
            return MismatchError(self.words)
        return Aborted(self.rank, self.words)

    def message(self) -> dict[str, object]:
        """Return it as a control message."""
        words = self.words[:MAX_WORDS]
        return {"t": "verdict", "kind": self.kind, "rank": self.rank, "words": words}

    def encoded(self) -> bytes:
        """Return it as the body of a poison frame."""
        return json.dumps(self.message()).encode()


def of_error(error: FmiError, rank: int) -> FailureReport:
    """Return what other ranks should be told when `rank` met this error."""
    if isinstance(error, PeerFailed):
        return FailureReport("lost", error.rank, error.cause)
    if isinstance(error, StaleGeneration):
        return FailureReport("lost", rank, f"{FENCED}{error.newer}")
    if isinstance(error, MismatchError):
        return FailureReport("mismatch", rank, str(error))
    if isinstance(error, Aborted):
        return FailureReport("aborted", error.rank, error.reason)
    return FailureReport("aborted", rank, str(error))


def as_seen_by(error: FmiError, rank: int, generation: int) -> FmiError:
    """Return a failure as this rank should raise it: one that hears of its own fencing is stale."""
    if isinstance(error, PeerFailed) and error.rank == rank:
        newer = error.cause.removeprefix(FENCED)
        if newer != error.cause and newer.isdecimal():
            return StaleGeneration(generation, int(newer))
    return error


def read(message: object) -> FailureReport | None:
    """Return the failure in a control message or a poison frame's JSON; None if it has none."""
    if not isinstance(message, dict):
        return None
    kind, rank, words = message.get("kind"), message.get("rank"), message.get("words")
    if kind not in KINDS or type(rank) is not int or not isinstance(words, str):
        return None
    return FailureReport(str(kind), rank, words[:MAX_WORDS])


def decode(raw: str) -> FailureReport | None:
    """Return the failure of a poison frame; None if it can't be read."""
    try:
        return read(json.loads(raw))
    except (ValueError, RecursionError):
        return None
