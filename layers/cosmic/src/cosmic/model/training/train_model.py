"""From a recipe to a folder with a model: trained, calibrated, evaluated, described."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosmic.model.checkpoint import Provenance, load_checkpoint, save_checkpoint
from cosmic.model.training.calibrate import calibrate
from cosmic.model.training.calibrate_pz import calibrate_pz
from cosmic.model.training.card import checkpoint_path, make_card, write_card
from cosmic.model.training.fit_domain import fit_domain
from cosmic.model.training.recipe import Recipe
from cosmic.model.training.samples import data_hash, load, sources, together
from cosmic.model.training.train import train


def train_model(
    recipe: Recipe,
    out: Path | str,
    name: str = "astromae-tiny",
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> dict[str, Any]:
    """Train a model from scratch, calibrate its errors and write its card.

    Args:
        recipe: How to train; the same recipe gives the same weights on the same kind of processor.
        out: Folder for the checkpoint, `card.json` and `README.md`; made if it does not exist.
        name: The model's name.
        progress: Called with the number of batches done and the mean loss since the last call.

    Returns:
        The card, as `card.json` has it.

    Raises:
        InputError: there is no such preset.
    """
    folder, source = Path(out), sources(recipe.objects, recipe.seed)
    data = load(source.train)
    model = train(recipe, data, progress)
    kinds = [load((sample,)) for sample in source.calibrate]
    errors = calibrate(model, together(kinds), recipe.seed)
    z = data["z_spec"]
    seen = Provenance(name, data_hash(data), recipe.seed, float(z.min()), float(z.max()))
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, name)
    domain = fit_domain(data, kinds)
    pz = calibrate_pz(model, domain, source, recipe.seed)
    save_checkpoint(path, model, seen, errors, domain, pz.table if pz else None)
    checkpoint = load_checkpoint(path)
    card = make_card(checkpoint, recipe, source.tests, _command(recipe, folder, name), pz)
    write_card(folder, card)
    return card


def _command(recipe: Recipe, out: Path, name: str) -> str:
    """The command line that does the same again."""
    said = {
        "name": name,
        "preset": recipe.preset,
        "objects": recipe.objects,
        "steps": recipe.steps,
        "batch": recipe.batch,
        "seed": recipe.seed,
        "threads": recipe.threads,
        "out": out,
    }
    options = (word for option, value in said.items() for word in (f"--{option}", str(value)))
    return shlex.join(("cosmic", "model", "train", *options))
