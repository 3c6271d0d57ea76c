"""`encrypt=True` over the direct channel: right values, and all ranks alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib_support.threads import Crew, values

from .conftest import Way

pytestmark = pytest.mark.parametrize("way", ["direct"], indirect=True)


def test_values_are_right_at_every_size(way: Way, job: str) -> None:
    def body(comm: fmilib.Communicator) -> list[Any]:
        found: list[Any] = []
        for count in (0, 1, 1000, 500_000):
            found.append(
                float(comm.allreduce(np.full(count, comm.rank + 1.0)).sum()) / (count or 1)
            )
            found.append(
                comm.bcast(bytes(count) if comm.rank == 1 else None, root=1) == bytes(count)
            )
        request = comm.isend([comm.rank] * 100_000, (comm.rank + 1) % 3)
        found.append(comm.recv((comm.rank - 1) % 3)[-1])
        request.wait()
        found.append(comm.gather(comm.rank))
        return found

    found = values({**way.options, "encrypt": True}, job, 3, body)
    for rank, one in enumerate(found):
        assert one[:8] == [0.0, True, 6.0, True, 6.0, True, 6.0, True]
        assert one[8:] == [(rank - 1) % 3, [0, 1, 2] if rank == 0 else None]


def test_a_rank_that_encrypts_and_one_that_does_not_never_talk(way: Way, job: str) -> None:
    crew = Crew({**way.options, "timeout_s": 10.0, "detect_s": 1.0}, job, 2)
    for rank in range(2):
        crew.start(rank, lambda comm: comm.allreduce(1), encrypt=rank == 0)
    for end in crew.ends().values():
        assert isinstance(end.error, fmilib.PeerFailed), end
