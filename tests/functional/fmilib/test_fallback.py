"""A job whose ranks can't all be linked goes over a store; one whose can, doesn't."""

from __future__ import annotations

import pytest

import fmilib
from fmilib_support.server import Rendezvous
from fmilib_support.threads import Crew

from .conftest import Way


@pytest.mark.parametrize("odd", [None, 0, 2])
def test_all_ranks_decide_alike(
    stored: Way, job: str, rendezvous: Rendezvous, odd: int | None
) -> None:
    """A rank that covers payloads otherwise than the rest can't be linked, by no step."""

    def body(comm: fmilib.Communicator) -> tuple[int, bool]:
        return int(comm.allreduce(comm.rank + 1)), comm.stats().links > 0

    options = {"rendezvous": rendezvous.address, "store": stored.options["store"]}
    crew = Crew({**options, "fallback": stored.channel, "detect_s": 4.0}, job, 3)
    told: list[str] = []
    for rank in range(3):
        crew.start(
            rank,
            body,
            integrity="header" if rank == odd else "full",
            trace=lambda event, facts: told.append(event),
        )
    for end in crew.ends().values():
        assert end.error is None, end
        assert end.value == (6, odd is None)
    assert told.count("fallback.taken") == (0 if odd is None else 3)
