"""A trained model's p(z), made anew: its weights, domain and errors stay as they are."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from cosmic.errors import InputError
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import (
    Checkpoint,
    load_checkpoint,
    pack_checkpoint,
    write_checkpoint,
)
from cosmic.model.training.calibrate_pz import calibrate_pz
from cosmic.model.training.card import checkpoint_path, make_card, read_card, write_card
from cosmic.model.training.recipe import Recipe
from cosmic.model.training.samples import sources


def calibrate_model(folder: Path, out: Path) -> dict[str, Any]:
    """Calibrate the quantiles of p(z) of a model that `cosmic model train` made of built-in data.

    Args:
        folder: Of the checkpoint and its card.
        out: Folder for the calibrated checkpoint and its card; may be the same.

    Returns:
        The card.

    Raises:
        InputError: there is no such model, or it has no domain or no recipe.
    """
    card = read_card(folder)
    name, recipe = str(card.get("name")), _recipe(card, folder)
    path = checkpoint_path(folder, name)
    if not path.is_file():
        raise InputError(f"{path} does not exist", code="not-found", hint="check its folder")
    c = load_checkpoint(path.read_bytes())
    if c.domain is None:
        raise InputError(
            f"{path} has no domain, which p(z) depends on",
            code="no-domain",
            hint="train the model again with `cosmic model train`",
        )
    torch.set_num_threads(recipe.threads)
    source = sources(recipe.objects, recipe.seed)
    pz = calibrate_pz(restored(c), c.domain, source, recipe.seed)
    table = pz.table if pz else None
    data = pack_checkpoint(c.config, c.state, c.provenance, c.errors, c.domain, table)
    out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(checkpoint_path(out, name), data)
    command = str(card["training"].get("command", ""))
    made = make_card(load_checkpoint(data), recipe, source.tests, command, pz)
    write_card(out, made)
    return made


def restored(checkpoint: Checkpoint) -> AstroMAE:
    """The model of a checkpoint, in evaluation mode."""
    model = AstroMAE(checkpoint.config)
    model.load_state_dict({name: torch.tensor(v) for name, v in checkpoint.state.items()})
    return model.eval()


def _recipe(card: dict[str, Any], folder: Path) -> Recipe:
    try:
        return Recipe(**{f.name: card["training"][f.name] for f in fields(Recipe)})
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the card of {folder} has no recipe: {error!r}",
            code="card-invalid",
            hint="only models of `cosmic model train` can be calibrated on the built-in data",
        ) from error
