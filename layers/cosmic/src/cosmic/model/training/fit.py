"""Training in rounds: each is validated and saved, so that a stopped one goes on where it was.

A round's batches depend on the seed and the number of the round alone, so a training that was
stopped and gone on with gives the same weights as one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cosmic.data.synth.dataset import Columns
from cosmic.errors import InputError
from cosmic.model.astromae import AstroMAE
from cosmic.model.training.labelled import LabelledData
from cosmic.model.training.train import Z_UNIT, batch_of, pace, parameter_groups

STATE_FILE = "training.safetensors"
VALIDATED = 4_096  # objects of a validation, at most
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Pace:
    """How long, and how fast.

    Attributes:
        steps: Batches, at most.
        batch: Objects in a batch.
        rate: Peak learning rate; rises over the first twentieth, falls as a cosine.
        decay: AdamW's weight decay.
        band_dropout: Share of the objects of a batch that lose a band.
        seed: Of everything random.
        round_steps: Batches between two validations.
        patience: Validations without a better one after which training stops.
    """

    steps: int
    batch: int
    rate: float
    decay: float
    band_dropout: float
    seed: int
    round_steps: int
    patience: int


@dataclass(frozen=True)
class Told:
    """How far a training has come.

    Attributes:
        step: Batches done.
        steps: At most.
        loss: Mean of the round's batches.
        validation: Loss of the validation objects.
        best: The lowest of these until now.
    """

    step: int
    steps: int
    loss: float
    validation: float
    best: float


@dataclass(frozen=True)
class Progress:
    """Where a training is: rounds done, the lowest validation loss, rounds since then."""

    rounds: int = 0
    best: float = float("inf")
    since_best: int = 0


class Fit:
    """A training that can be stopped at any time.

    Args:
        model: Normalised; trained in place.
        data: What it learns from.
        how: How long, and how fast.
        folder: Where its state is kept until it has ended.
        fingerprint: What the state must be of: another one is refused.

    Raises:
        InputError: the folder has the state of another training.
    """

    def __init__(
        self, model: AstroMAE, data: LabelledData, how: Pace, folder: Path, fingerprint: str
    ) -> None:
        self._model, self._data, self._how = model, data, how
        self._state, self._fingerprint = folder / STATE_FILE, fingerprint
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(parameter_groups(model, how.decay), lr=how.rate)
        self._validation = data.sample("validation", VALIDATED)
        self._best: dict[str, Tensor] = _copied(model.state_dict())
        self.progress = Progress()
        if self._state.exists():
            self._restore()

    def run(self, tell: Callable[[Told], None] = lambda told: None) -> AstroMAE:
        """Train until nothing gets better or all steps are done.

        Returns:
            The model as it was when it validated best, in evaluation mode.
        """
        how = self._how
        while self.progress.rounds * how.round_steps < how.steps:
            if self.progress.since_best >= how.patience:
                break
            self._round(tell)
        self._model.load_state_dict(self._best)
        return self._model.eval()

    def forget(self) -> None:
        """Remove the state: the training has ended and its model is safe."""
        self._state.unlink(missing_ok=True)

    def _round(self, tell: Callable[[Told], None]) -> None:
        how, number = self._how, self.progress.rounds
        first = number * how.round_steps
        count = min(how.round_steps, how.steps - first)
        rng = np.random.default_rng([how.seed, 11, number])
        self._model.train()
        batches = islice(self._data.shuffled("train", how.batch, rng), count)
        losses = [self._step(first + i, batch, rng) for i, batch in enumerate(batches)]
        validation = self._validate()
        better = validation < self.progress.best
        if better:
            self._best = _copied(self._model.state_dict())
        self.progress = Progress(
            number + 1,
            min(validation, self.progress.best),
            0 if better else self.progress.since_best + 1,
        )
        self._save()
        loss = float(torch.stack(losses).mean())
        tell(Told(first + count, how.steps, loss, validation, self.progress.best))

    def _step(self, step: int, data: Columns, rng: np.random.Generator) -> Tensor:
        for group in self._optimiser.param_groups:
            group["lr"] = self._how.rate * pace(step, self._how.steps)
        everything = np.arange(len(data["z_spec"]))
        image, mag, z = batch_of(data, everything, self._how.band_dropout, rng)
        loss = _loss(self._model(image, mag), z)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimiser.step()
        return loss.detach()

    def _validate(self) -> float:
        self._model.eval()
        columns, total, n = self._validation, 0.0, len(self._validation["z_spec"])
        with torch.inference_mode():
            for at in range(0, n, 256):
                image, mag, z = (
                    torch.from_numpy(np.ascontiguousarray(columns[name][at : at + 256]))
                    for name in ("image", "mag", "z_spec")
                )
                total += float(_loss(self._model(image, mag), z)) * len(z)
        return total / n

    def _save(self) -> None:
        """Write the state beside its place, then rename it."""
        tensors = {f"model.{n}": t for n, t in self._model.state_dict().items()}
        tensors |= {f"best.{n}": t for n, t in self._best.items()}
        for i, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"moment.{i}.{name}": moments[name] for name in MOMENTS}
        beside = self._state.with_suffix(".part")
        metadata = {
            "fingerprint": self._fingerprint,
            "progress": json.dumps(asdict(self.progress)),
        }
        save_file({n: t.contiguous().clone() for n, t in tensors.items()}, beside, metadata)
        beside.replace(self._state)

    def _restore(self) -> None:
        with safe_open(self._state, "pt") as file:
            metadata = file.metadata()
            if metadata.get("fingerprint") != self._fingerprint:
                raise InputError(
                    f"{self._state} belongs to another training",
                    code="other-training",
                    hint="repeat the command that began it, remove the file, or use another --out",
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self._model.load_state_dict(_under("model.", tensors))
        self._best = _under("best.", tensors)
        state = self._optimiser.state_dict()
        state["state"] = _moments(_under("moment.", tensors))
        self._optimiser.load_state_dict(state)
        self.progress = replace(Progress(), **json.loads(metadata["progress"]))


def _loss(found: Tensor, z: Tensor) -> Tensor:
    return F.smooth_l1_loss((found - z) / (1.0 + z) / Z_UNIT, torch.zeros_like(z))


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _moments(tensors: dict[str, Tensor]) -> dict[int, dict[str, Any]]:
    numbers: Iterable[int] = sorted({int(name.split(".")[0]) for name in tensors})
    return {i: {name: tensors[f"{i}.{name}"] for name in MOMENTS} for i in numbers}
