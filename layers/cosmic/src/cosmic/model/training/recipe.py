"""How to train: every number a training run depends on."""

from __future__ import annotations

from dataclasses import dataclass

from cosmic.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        preset: Architecture, by name.
        objects: Simulated objects to train on, in addition to the real galaxies.
        steps: Batches in all.
        batch: Objects in a batch.
        rate: Peak learning rate; rises over the first twentieth, falls as a cosine.
        decay: AdamW's weight decay.
        band_dropout: Share of the objects of a batch that lose a band.
        seed: From 0 to 999,998.
        threads: Of torch; the result depends on it.
    """

    preset: str = "tiny"
    objects: int = 40_000
    steps: int = 5_000
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.01
    band_dropout: float = 0.15
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        for name in ("objects", "steps", "batch", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", hint="1 or more")
