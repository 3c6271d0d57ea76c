"""α and β of a channel, by a few messages between neighbours."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fmilib.cost_model.rates import Rates

PINGS = 5
PROBE_BYTES = 1 << 20
TAG = 0x464D49


class Talker(Protocol):
    """The part of a communicator that measuring needs."""

    rank: int
    size: int

    def Send(self, buffer: npt.NDArray[np.uint8], dest: int, tag: int = 0) -> None:  # noqa: N802
        """Send a buffer."""
        ...

    def Recv(self, buffer: npt.NDArray[np.uint8], source: int, tag: int = 0) -> None:  # noqa: N802
        """Fill a buffer."""
        ...


def measure(comm: Talker) -> Rates | None:
    """Measure between ranks 0 and 1; all ranks may call it, only rank 0 gets an answer.

    Raises:
        FmiError: the job failed.
    """
    if comm.size < 2 or comm.rank > 1:
        return None
    _ping(comm, np.zeros(1, np.uint8))  # makes the link
    alpha_s = min(_ping(comm, np.zeros(1, np.uint8)) for _ in range(PINGS))
    whole_s = min(_ping(comm, np.zeros(PROBE_BYTES, np.uint8)) for _ in range(2))
    if comm.rank:
        return None
    return Rates(alpha_s, PROBE_BYTES / max(whole_s - alpha_s, 1e-9), measured=True)


def _ping(comm: Talker, buffer: npt.NDArray[np.uint8]) -> float:
    """Return half the time of there and back."""
    other, began = 1 - comm.rank, time.perf_counter()
    if comm.rank == 0:
        comm.Send(buffer, other, TAG)
        comm.Recv(buffer, other, TAG)
    else:
        comm.Recv(buffer, other, TAG)
        comm.Send(buffer, other, TAG)
    return (time.perf_counter() - began) / 2
