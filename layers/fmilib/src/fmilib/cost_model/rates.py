"""How fast a channel is: α seconds a message and β bytes a second, measured and corrected."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fmilib.cost_model.operation_costs import Shape

SMALL_BYTES = 4096
WINDOW = 32


@dataclass(frozen=True, slots=True)
class Rates:
    """One channel's speed.

    Attributes:
        alpha_s: seconds from a send to the end of its receive, without payload.
        beta: bytes a second of one stream.
        measured: False for the assumption that is used until something is known.
    """

    alpha_s: float
    beta: float
    measured: bool = False

    def __post_init__(self) -> None:
        if self.alpha_s < 0 or self.beta <= 0:
            raise ValueError(f"rates need α ≥ 0 and β > 0, got {self.alpha_s} and {self.beta}")

    def seconds(self, shape: Shape) -> float:
        """Return rounds × α + bytes ÷ β."""
        return shape.rounds * self.alpha_s + shape.bytes / self.beta


ASSUMED = {
    "direct": Rates(0.0003, 75e6),
    "redis": Rates(0.001, 40e6),
    "s3": Rates(0.05, 30e6),
    "local": Rates(0.0002, 500e6),
}


class Meter:
    """A channel's rates, corrected by what calls really took.

    A call also waits for ranks that are late, so single calls say little: α and β follow the
    median of so many calls, small ones for α, large ones for β.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._alphas: list[float] = []
        self._betas: list[float] = []

    @property
    def rates(self) -> Rates:
        """What is believed now."""
        return self._rates

    def set(self, rates: Rates) -> None:
        """Believe what was measured, and forget what was seen before."""
        self._rates = rates
        self._alphas.clear()
        self._betas.clear()

    def observe(self, rounds: int, nbytes: int, seconds: float) -> None:
        """Take in how long a call took that had this many rounds and bytes one way."""
        if rounds and nbytes <= SMALL_BYTES:
            self._alphas.append(max(0.0, seconds - nbytes / self._rates.beta) / rounds)
            if len(self._alphas) == WINDOW:
                alpha_s = _middle(self._alphas)
                self._rates = replace(self._rates, alpha_s=alpha_s, measured=True)
                self._alphas.clear()
        elif nbytes > 0:
            moving_s = seconds - rounds * self._rates.alpha_s
            if moving_s > 0:
                self._betas.append(nbytes / moving_s)
            if len(self._betas) == WINDOW:
                beta = _middle(self._betas)
                self._rates = replace(self._rates, beta=beta, measured=True)
                self._betas.clear()


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
