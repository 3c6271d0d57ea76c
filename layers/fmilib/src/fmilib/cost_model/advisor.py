"""What one communicator knows of channels' speed, and says of an operation's time and money."""

from __future__ import annotations

from collections.abc import Mapping

from fmilib.config import Settings
from fmilib.cost_model.estimate import Explanation, explain
from fmilib.cost_model.hints import named
from fmilib.cost_model.operation_costs import shape
from fmilib.cost_model.prices import prices
from fmilib.cost_model.rates import ASSUMED, Meter, Rates

MB_A_GB = 1024
_EVEN = ("barrier", "allreduce", "allgather", "alltoall", "reduce_scatter")


class Advisor:
    """Rates of all channels; those of the one in use follow the calls that are made.

    Only operations in which every rank does the same say something of the channel: in others
    a rank may be done long before its messages have arrived.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hint = named(settings.hint)
        self._rates = dict(ASSUMED)
        if settings.channel != "local":  # one machine's channel is no choice for several
            del self._rates["local"]
        self._meter = Meter(self._rates[settings.channel])
        self._rounds = {
            name: shape(op, 0, settings.size).rounds
            for op in _EVEN
            for name in (op, op.capitalize())
        }

    def learn(self, rates: Mapping[str, Rates]) -> None:
        """Take in what was measured."""
        self._rates.update(rates)
        self._meter.set(self._rates[self._settings.channel])

    def observe(self, op: str, moved_bytes: int, seconds: float) -> None:
        """Take in how long a call took in which this rank moved this many bytes one way."""
        rounds = self._rounds.get(op)
        if rounds:
            self._meter.observe(rounds, moved_bytes, seconds)

    def explain(self, op: str, nbytes: int) -> Explanation:
        """Return the sums of an operation on every channel.

        Raises:
            ValueError: no operation has that name.
        """
        settings = self._settings
        self._rates[settings.channel] = self._meter.rates
        return explain(
            op,
            nbytes,
            settings.size,
            self._rates,
            memory_gb=settings.memory_mb / MB_A_GB,
            hint=self._hint,
            prices=prices(),
        )
