"""Trains an AstroMAE from scratch, the same way each time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cosmic.data.synth.dataset import Columns
from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS
from cosmic.model.astromae import AstroMAE
from cosmic.model.training.recipe import Recipe
from cosmic.model.training.samples import drop_bands

Z_UNIT = 0.02  # (1 + z) residuals are measured in this, where the loss turns from square to linear


def train(
    recipe: Recipe,
    data: Columns,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> AstroMAE:
    """Train on columns of native partitions.

    The same recipe and data give the same weights on the same kind of processor.

    Args:
        recipe: How.
        data: `image`, `mag` and `z_spec` of the training objects.
        progress: Called with the number of batches done and the mean loss since the last call.

    Returns:
        The model, in evaluation mode.

    Raises:
        InputError: There is no such preset.
    """
    if recipe.preset not in PRESETS:
        raise InputError(f"preset is {recipe.preset!r}", hint=f"one of {', '.join(PRESETS)}")
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng([recipe.seed, 7])
    model = AstroMAE(PRESETS[recipe.preset])
    fit_normalisation(model, data)
    favour_colours(model, data)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(parameter_groups(model, recipe.decay), lr=recipe.rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: pace(s, recipe.steps))
    order = np.empty(0, np.int64)
    losses: list[Tensor] = []
    for step in range(1, recipe.steps + 1):
        if len(order) < recipe.batch:
            order = rng.permutation(len(data["z_spec"]))
        chosen, order = order[: recipe.batch], order[recipe.batch :]
        image, mag, z = batch_of(data, np.sort(chosen), recipe.band_dropout, rng)
        loss = F.smooth_l1_loss((model(image, mag) - z) / (1.0 + z) / Z_UNIT, torch.zeros_like(z))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
        if step % 100 == 0 or step == recipe.steps:
            progress(step, float(torch.stack(losses).mean()))
            losses.clear()
    return model.eval()


def fit_normalisation(model: AstroMAE, data: Columns) -> None:
    """Set the model's normalisation buffers to the training data's sky, colours and redshifts."""
    image, mag, z = data["image"], data["mag"].astype(np.float64), data["z_spec"]
    some = image[:: max(1, len(image) // 4096)]
    border = np.concatenate((some[:, :, 0], some[:, :, -1]), axis=2)  # N, 5, 2W
    middle = np.median(border, axis=(0, 2))
    sky = 1.4826 * np.median(np.abs(border - middle[:, None]), axis=(0, 2))
    stretched = np.arcsinh(some / sky[:, None, None])
    n = model.normalise
    for buffer, value in (
        (n.softening, sky),
        (n.image_scale, stretched.std(axis=(0, 2, 3))),
        (n.mag_shift, mag.mean(axis=0)),
        (n.mag_neutral, mag.mean(axis=0)),
        (n.mag_scale, mag.std(axis=0)),
        (model.z_shift, z.mean(dtype=np.float64)),
        (model.z_scale, z.std(dtype=np.float64)),
    ):
        buffer.copy_(torch.tensor(value, dtype=torch.float32))


def favour_colours(model: AstroMAE, data: Columns) -> None:
    """Turn the magnitude branch's first weights so that colours start as loud as the brightness.

    Magnitudes of five bands rise and fall together; the redshift is in their small differences,
    which a network that starts from the magnitudes alone takes long to find.
    """
    mag = data["mag"].astype(np.float64)
    bands = mag.shape[1]
    to_colours = np.eye(bands) - np.eye(bands, k=1)  # m_k - m_(k+1); the last row is a magnitude
    loudness = (mag @ to_colours.T).std(axis=0)
    turn = to_colours / loudness[:, None] * mag.std(axis=0)
    first = next(model.inception_model.magnitude_block.children())
    if not isinstance(first, torch.nn.Linear):
        raise TypeError(f"the magnitude branch starts with {type(first).__name__}")
    with torch.no_grad():
        first.weight.copy_(first.weight @ torch.tensor(turn, dtype=torch.float32))


def parameter_groups(model: AstroMAE, decay: float) -> list[dict[str, object]]:
    """Weights decay; biases, norms and tokens don't. The fixed positions are left out."""
    free = [p for p in model.parameters() if p.requires_grad]
    weights = [p for p in free if p.ndim > 1 and p is not model.cls_token]
    others = [p for p in free if p.ndim <= 1 or p is model.cls_token]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def pace(step: int, steps: int) -> float:
    """The learning rate at a step as a share of its peak: a rise, then half a cosine."""
    rise = max(1, steps // 20)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def batch_of(
    data: Columns, chosen: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch, turned and mirrored at random, with bands dropped.

    Args:
        data: `image`, `mag` and `z_spec`.
        chosen: Indices of the batch's objects (N,).
        share: Of them that lose a band.
        rng: Source of the choice.
    """
    image = data["image"][chosen]
    if rng.integers(2):
        image = image[..., ::-1]
    image = np.rot90(image, int(rng.integers(4)), axes=(2, 3))
    image, mag = drop_bands(image, data["mag"][chosen], share, rng)
    return (
        torch.from_numpy(np.ascontiguousarray(image)),
        torch.from_numpy(mag),
        torch.from_numpy(data["z_spec"][chosen]),
    )
