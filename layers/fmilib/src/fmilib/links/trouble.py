"""What can end a link, as signals between modules; users see `fmilib.errors` only."""

from __future__ import annotations


class LinkTrouble(Exception):  # noqa: N818 - a signal between modules, never shown to users
    """Something ended a link; the communicator decides what that means for the job."""

    def __init__(self, peer: int, cause: str) -> None:
        super().__init__(peer, cause)
        self.peer = peer
        self.cause = cause


class LinkLost(LinkTrouble):
    """The connection broke, or what came out of it is no frame."""


class LinkQuiet(LinkTrouble):
    """Nothing moved for the link's whole time-out."""


class PeerLeft(LinkTrouble):
    """The peer closed its communicator in good order."""


class Poisoned(LinkTrouble):
    """The peer passes on that the job failed; `cause` is the failure report's JSON."""
