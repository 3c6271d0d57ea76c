"""`channel="auto"`: form the job on every channel there is, measure, keep the best one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fmilib.config import Settings
from fmilib.cost_model.estimate import explain
from fmilib.cost_model.hints import named
from fmilib.cost_model.prices import prices
from fmilib.cost_model.probe import measure
from fmilib.cost_model.rates import Rates

if TYPE_CHECKING:
    from fmilib.api.communicator import Communicator

TYPICAL_OP = "allreduce"
MB_A_GB = 1024
Table = dict[str, list[float]]


def pick(
    candidates: Sequence[Settings], connect: Callable[[Settings], Communicator]
) -> Communicator:
    """Return a communicator on the channel that the hint takes; rank 0 decides for all.

    Args:
        candidates: one rank's settings for each channel; the same channels on all ranks.
        connect: joins the job on one of them.

    Raises:
        FmiError: a channel failed.
    """
    with ExitStack() as opened:
        comms = {one.channel: opened.enter_context(connect(one)) for one in candidates}
        first = comms[candidates[0].channel]
        measured = {name: measure(comm) for name, comm in comms.items()}
        chosen, table = first.bcast(_decide(candidates[0], measured) if first.rank == 0 else None)
        for name, comm in comms.items():
            if name != chosen:
                comm.close()
        opened.pop_all()
    comm = comms[chosen]
    comm.advisor.learn({name: Rates(a, b, measured=True) for name, (a, b) in table.items()})
    return comm


def _decide(settings: Settings, measured: dict[str, Rates | None]) -> tuple[str, Table]:
    rates = {name: found for name, found in measured.items() if found is not None}
    found = explain(
        TYPICAL_OP,
        settings.typical_bytes,
        settings.size,
        rates,
        memory_gb=settings.memory_mb / MB_A_GB,
        hint=named(settings.hint),
        prices=prices(),
    )
    return found.chosen, {name: [one.alpha_s, one.beta] for name, one in rates.items()}
