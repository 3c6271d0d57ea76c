"""What an operation takes and costs on each channel, as sums that can be read and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fmilib.cost_model.hints import Hint
from fmilib.cost_model.operation_costs import Shape, shape
from fmilib.cost_model.prices import SECONDS_AN_HOUR, Prices
from fmilib.cost_model.rates import Rates

S3_SEGMENT_BYTES = 16 << 20
GETS_A_MESSAGE = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """One operation on one channel.

    Attributes:
        channel: its name.
        rounds, bytes, messages: see `shapes.Shape`.
        rates: the channel's, measured or assumed.
        seconds: rounds × α + bytes ÷ β.
        functions: dollars for all ranks' memory while it lasts.
        service: dollars for what carries it: Redis's or the rendezvous's host, S3's requests.
    """

    channel: str
    rounds: int
    bytes: int
    messages: int
    rates: Rates
    seconds: float
    functions: float
    service: float

    @property
    def dollars(self) -> float:
        """All of it."""
        return self.functions + self.service

    def __str__(self) -> str:
        origin = "measured" if self.rates.measured else "assumed"
        return (
            f"{self.channel}: {self.rounds} rounds x {self.rates.alpha_s * 1e3:.3g} ms"
            f" + {self.bytes} bytes / {self.rates.beta / 1e6:.3g} MB/s ({origin})"
            f" = {self.seconds:.3g} s; functions ${self.functions:.2e}"
            f" + service ${self.service:.2e} = ${self.dollars:.2e}"
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """The sums for one operation, and which channel a hint would take.

    Attributes:
        op, nbytes, size: the operation, payload a rank, ranks.
        memory_gb: of each rank's function.
        hint: what was asked for.
        estimates: one a channel.
        chosen: the channel that the hint takes.
        as_of: date of the prices.
    """

    op: str
    nbytes: int
    size: int
    memory_gb: float
    hint: str
    estimates: tuple[Estimate, ...]
    chosen: str
    as_of: str

    def __getitem__(self, channel: str) -> Estimate:
        """Return one channel's estimate."""
        return next(one for one in self.estimates if one.channel == channel)

    def __str__(self) -> str:
        first = (
            f"{self.op} of {self.nbytes} bytes, {self.size} ranks of {self.memory_gb:g} GB,"
            f" hint {self.hint}, prices of {self.as_of}:"
        )
        lines = [f"{'*' if e.channel == self.chosen else ' '} {e}" for e in self.estimates]
        return "\n".join([first, *lines])


def estimate(
    channel: str, what: Shape, size: int, rates: Rates, memory_gb: float, prices: Prices
) -> Estimate:
    """Return what an operation of a shape takes and costs on one channel."""
    seconds = rates.seconds(what)
    functions = size * memory_gb * seconds * prices.lambda_gb_second
    service = _service(channel, what, seconds, prices)
    return Estimate(channel, *what, rates, seconds, functions, service)


def explain(
    op: str,
    nbytes: int,
    size: int,
    rates: Mapping[str, Rates],
    *,
    memory_gb: float,
    hint: Hint,
    prices: Prices,
) -> Explanation:
    """Return the sums of one operation for each channel that there are rates of.

    Raises:
        ValueError: no operation has that name.
    """
    what = shape(op, nbytes, size)
    found = tuple(
        estimate(channel, what, size, speed, memory_gb, prices) for channel, speed in rates.items()
    )
    chosen = choose(found, hint).channel
    return Explanation(op, nbytes, size, memory_gb, str(hint), found, chosen, prices.as_of)


def choose(estimates: Iterable[Estimate], hint: Hint) -> Estimate:
    """Return the estimate that a hint takes.

    With a bound: the cheapest that keeps it; the fastest, if none does.
    """
    found = list(estimates)
    kept = [one for one in found if one.seconds <= hint.bound_s]
    if hint.by_price and kept:
        return min(kept, key=lambda one: (one.dollars, one.seconds))
    return min(found, key=lambda one: (one.seconds, one.dollars))


def _service(channel: str, what: Shape, seconds: float, prices: Prices) -> float:
    hours = seconds / SECONDS_AN_HOUR
    if channel == "redis":
        return hours * prices.redis_node_hour
    if channel == "direct":
        return hours * prices.rendezvous_hour
    if channel != "s3":
        return 0.0
    longest = what.bytes / max(1, what.rounds)
    objects = what.messages * max(1, math.ceil(longest / S3_SEGMENT_BYTES))
    return objects * (prices.s3_put + GETS_A_MESSAGE * prices.s3_get)
