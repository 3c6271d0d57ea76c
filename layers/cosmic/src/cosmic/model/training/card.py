"""The model card: what a checkpoint is, how it was made, and how good it is."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cosmic.data.synth.dataset import Columns, Sample
from cosmic.errors import InputError
from cosmic.metrics.pz import INTERVALS
from cosmic.model.astromae import AstroMAE, count_parameters
from cosmic.model.checkpoint import Checkpoint, load_checkpoint
from cosmic.model.engine import Engine, Predictions
from cosmic.model.training.calibrate_pz import CalibratedPz
from cosmic.model.training.recipe import Recipe
from cosmic.model.training.samples import load
from cosmic.model.training.scores import score

CARD_FILE = "card.json"
README_FILE = "README.md"
QUICK = 1024  # objects of a quick verification
TOLERANCE = 2e-3  # of a metric: another processor rounds differently, and makes other pixels


@dataclass(frozen=True)
class Difference:
    """A line of the card that does not hold."""

    what: str
    card: Any
    found: Any


def checkpoint_path(folder: Path, name: str) -> Path:
    """Where a model's weights lie."""
    return folder / f"{name}.safetensors"


def evaluate(engine: Engine, columns: Columns) -> Predictions:
    """Predict all objects in batches of 64."""
    return engine.predict_all(columns["image"], columns["mag"])


def scores_of(engine: Engine, sample: Sample, objects: int) -> dict[str, dict[str, float]]:
    """Scores of the first 1,024 of a sample's objects, and of the first `objects` of them."""
    columns = rows_of(sample, objects)
    found, z = evaluate(engine, columns), columns["z_spec"]
    return {
        name: score(found.z_phot[:n], found.z_phot_err[:n], z[:n]).as_dict()
        for name, n in (("quick_scores", QUICK), ("scores", objects))
    }


def rows_of(sample: Sample, objects: int) -> Columns:
    """The first objects of a sample."""
    return load((replace(sample, objects=objects),))


def make_card(
    checkpoint: Checkpoint,
    recipe: Recipe,
    tests: dict[str, Sample],
    command: str,
    pz: CalibratedPz | None = None,
) -> dict[str, Any]:
    """Evaluate a checkpoint on its tests and describe it, as JSON."""
    engine = Engine(checkpoint, recipe.threads)
    tested = {
        name: {
            "sample": {**asdict(sample), "objects": len(sample)},
            **scores_of(engine, sample, len(sample)),
        }
        for name, sample in tests.items()
    }
    return {
        **inspect(checkpoint),
        "training": {"command": command, **asdict(recipe)},
        "tests": tested,
        **({"pz_out_of_fold": pz.out_of_fold()} if pz and len(pz.real) else {}),
    }


def inspect(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says of itself, as JSON."""
    p = checkpoint.provenance
    return {
        "name": p.name,
        "sha256": checkpoint.sha256,
        "parameters": count_parameters(AstroMAE(checkpoint.config)),
        "architecture": {"type": "AstroMAE", **asdict(checkpoint.config)},
        "training_data_sha256": p.training_data_sha256,
        "seed": p.seed,
        **({"domain": checkpoint.domain.facts()} if checkpoint.domain else {}),
        **({"pz": checkpoint.pz.facts()} if checkpoint.pz else {}),
        "z_range": [p.z_min, p.z_max],
        "z_phot_err": {
            name: [round(float(v), 5) if math.isfinite(v) else None for v in column]
            for name, column in vars(checkpoint.errors).items()
        },
        **({"converted_from": p.converted_from} if p.converted_from else {}),
    }


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write `card.json` and the `README.md` made of it."""
    (folder / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n")
    (folder / README_FILE).write_text(readme(card))


def read_card(folder: Path) -> dict[str, Any]:
    """Read a model's card.

    Raises:
        InputError: There is none, or it is not JSON.
    """
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"no model card at {path}: {error}", code="card-unreadable") from error
    if not isinstance(card, dict):
        raise InputError(f"{path} is not a JSON object", code="card-unreadable")
    return card


def verify(folder: Path, *, quick: bool = False, threads: int = 2) -> list[Difference]:
    """Check a card against its checkpoint: checksum, description, and metrics made anew.

    Args:
        folder: Of the card and the checkpoint.
        quick: Make the metrics of the first 1,024 objects of each test only.
        threads: Of the engine.

    Returns:
        What differs; empty if the card holds.

    Raises:
        InputError: The card or the checkpoint can't be read, or the card lacks a part.
    """
    card = read_card(folder)
    try:
        checkpoint = load_checkpoint(checkpoint_path(folder, card["name"]))
        found = inspect(checkpoint)
        differ = [
            Difference(key, card[key], found[key])
            for key in found
            if _unlike(card[key], found[key])
        ]
        engine = Engine(checkpoint, threads)
        for name, test in card["tests"].items():
            if "sample" not in test:  # of a model trained on own data, which are elsewhere
                continue
            sample = Sample(**test["sample"])
            made = scores_of(engine, sample, min(QUICK, len(sample)) if quick else len(sample))
            for kind in ("quick_scores",) if quick else ("quick_scores", "scores"):
                differ += _off(f"{name}.{kind}", test[kind], made[kind])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the card of {folder} lacks a part: {error!r}", code="card-invalid"
        ) from error
    return differ


def _off(where: str, card: dict[str, float], found: dict[str, float]) -> list[Difference]:
    return [
        Difference(f"{where}.{key}", card[key], value)
        for key, value in found.items()
        if abs(card[key] - value) > TOLERANCE
    ]


def _unlike(card: Any, found: Any) -> bool:
    return json.dumps(card, sort_keys=True) != json.dumps(found, sort_keys=True)


def readme(card: dict[str, Any]) -> str:
    """The card as a page."""
    rows = "\n".join(
        f"| {name} ({t['sample']['population']}, held out) | {s['n']:,} | {s['sigma_nmad']:.4f} "
        f"| {s['r2']:.3f} | {s['bias']:+.4f} | {100 * s['outliers_005']:.2f} % "
        f"| {100 * s['outliers_015']:.2f} % | {100 * s['coverage_68']:.1f} % |"
        for name, t in card["tests"].items()
        for s in [t["scores"]]
    )
    low, high = card["z_range"]
    domain = domain_row(card.get("domain"))
    return f"""# {card["name"]}

An AstroMAE (arXiv 2409.01825) of {card["parameters"]:,} parameters that gives a photometric
redshift from a 5 x 32 x 32 image (u g r i z, nanomaggies) and five asinh magnitudes.

**Trained and tested on real SDSS photometry and redshifts with simulated pixels** (see
`docs/data.md`). It shows that a pipeline works; it is not meant for science.

| | |
|---|---|
| file | `{card["name"]}.safetensors` |
| sha256 | `{card["sha256"]}` |
| command | `{card["training"]["command"]}` |
| seed | {card["seed"]} |
| training data sha256 | `{card["training_data_sha256"]}` |
| redshifts | {low:.3f} to {high:.3f}; beyond them objects are flagged `OUT_OF_RANGE` |
{domain}
{_pz_row(card)}

| test | N | σ_NMAD | R² | bias | outliers > 0.05 | > 0.15 | within z_phot_err |
|---|---|---|---|---|---|---|---|
{rows}

dz = (z_phot - z_spec) / (1 + z_spec); σ_NMAD = 1.4826 · MAD(dz); bias = mean(dz); R² on z itself.
R² depends on the spread of the sample's own redshifts: the `catalog` test has σ_z ≈ 0.05, so
look at σ_NMAD beside it. No spectrum of a test object, nor a galaxy drawn from one, was trained
on. `z_phot_err` is the calibrated half-width of the central 68 %.

A missing magnitude (NaN, or outside -5 to 40) or pixel (NaN) is flagged, and costs accuracy. Of the
training objects {100 * card["training"]["band_dropout"]:.0f} % lost a band on purpose, so that an
incomplete one still gets a sane value.

`cosmic model verify` makes the numbers above anew and fails if they differ.
"""


def _pz_row(card: dict[str, Any]) -> str:
    pz, test = card.get("pz"), card.get("pz_out_of_fold")
    if pz is None:
        return "| p(z) | not calibrated: the columns `z_q…` stay empty |"
    said = f"| p(z) | {len(pz['levels'])} quantiles, {pz['method']} ({pz['cells']} cells)"
    if test is None:
        return f"{said} |"
    shares = ", ".join(f"{100 * test[f'coverage_{k}']:.1f}" for k in INTERVALS)
    return (
        f"{said}; {shares} % of {test['n']:,} held-out real galaxies are inside the "
        f"{', '.join(INTERVALS)} % intervals, each by a table made without it |"
    )


def domain_row(domain: dict[str, Any] | None) -> str:
    """The line of a card's page about the domain."""
    if domain is None:
        return "| domain | not known: no object is flagged `OUT_OF_DOMAIN` |"
    bright, faint = domain["magnitudes_r"]
    percent = 100 * domain["quantile"]
    return (
        f"| domain | density in {', '.join(domain['features'])}; r from {bright:.1f} to "
        f"{faint:.1f}; objects where it is lower than for {100 - percent:g} % of every "
        "kind of training object are flagged `OUT_OF_DOMAIN` |"
    )
