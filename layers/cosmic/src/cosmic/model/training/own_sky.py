"""A model from labelled partitions: trained, calibrated, tested and described."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cosmic.contracts.bands import listed_bands
from cosmic.data.synth.dataset import Columns
from cosmic.errors import InputError
from cosmic.metrics.pz import PzStatistics
from cosmic.model.architecture import PRESETS, AstroMAEConfig
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import (
    Checkpoint,
    Provenance,
    load_checkpoint,
    to_bytes,
    write_checkpoint,
)
from cosmic.model.domain import Domain
from cosmic.model.engine import Engine, Predictions
from cosmic.model.training.calibrate import error_table, predict
from cosmic.model.training.calibrate_model import restored
from cosmic.model.training.card import checkpoint_path, inspect
from cosmic.model.training.fit import Fit, Pace, Told
from cosmic.model.training.fit_domain import fit_domain
from cosmic.model.training.fit_quantiles import Residuals, fit_quantiles, residuals_of
from cosmic.model.training.labelled import COLUMNS, LabelledData, Part, open_labelled
from cosmic.model.training.own_card import write_own_card
from cosmic.model.training.samples import drop_bands
from cosmic.model.training.scores import score
from cosmic.model.training.train import favour_colours, fit_normalisation

NORMALISED_BY = 8_192  # objects
DOMAIN_OBJECTS = 100_000  # of the training that the domain is fitted to, at most
SIDE_STEP = 8  # the network's images are multiples of it


@dataclass(frozen=True)
class OwnRecipe:
    """How to train on your own data.

    Attributes:
        preset: Architecture, by name; its image size is taken from the data.
        steps: Batches, at most.
        batch: Objects in a batch.
        rate: Peak learning rate; None: 3e-3, or a tenth of it from a checkpoint.
        decay: AdamW's weight decay.
        band_dropout: Share of the objects of a batch that lose a band.
        seed: Of everything random.
        threads: Of torch; the result depends on it.
        round_steps: Batches between two validations.
        patience: Validations without a better one after which training stops.
    """

    preset: str = "tiny"
    steps: int = 20_000
    batch: int = 64
    rate: float | None = None
    decay: float = 0.01
    band_dropout: float = 0.15
    seed: int = 1
    threads: int = 1
    round_steps: int = 500
    patience: int = 8

    def __post_init__(self) -> None:
        """Refuse counts below one and unknown presets."""
        for name in ("steps", "batch", "threads", "round_steps", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", hint="1 or more")
        if self.preset not in PRESETS:
            raise InputError(f"preset is {self.preset!r}", hint=f"one of {', '.join(PRESETS)}")


def train_on(
    data: Path | str,
    out: Path | str,
    name: str,
    recipe: OwnRecipe | None = None,
    *,
    start_from: Path | None = None,
    pixel_arcsec: float | None = None,
    progress: Callable[[Told], None] = lambda told: None,
) -> dict[str, Any]:
    """Train a model on labelled partitions, calibrate it, test it and write its card.

    The objects are split by a hash of their ids: 70 % are for training, and 10 % each for deciding
    when to stop, for calibration (z_phot_err, p(z), the domain's limit) and for testing.
    Partitions are read in pieces. If it is stopped, the same call continues where it was.

    Args:
        data: Folder of partitions with z_spec, as `cosmic data pack` writes them.
        out: Folder for the checkpoint, `card.json` and `README.md`; made if it does not exist.
        name: The model's name.
        recipe: How to train.
        start_from: A checkpoint to start from: of the same bands and image size.
        pixel_arcsec: Scale of the pixels; None: what the partitions say.
        progress: Called after each round.

    Returns:
        The card, as `card.json` has it.

    Raises:
        InputError: the data can't be used for training, the checkpoint does not fit them, or the
            folder has the state of another training.
    """
    how, folder = recipe or OwnRecipe(), Path(out)
    labelled = open_labelled(Path(data), pixel_arcsec)
    first = None if start_from is None else load_checkpoint(start_from)
    torch.set_num_threads(how.threads)
    torch.manual_seed(how.seed)
    model = _new_model(labelled, how) if first is None else _started(first, labelled)
    sha256 = labelled.sha256()
    folder.mkdir(parents=True, exist_ok=True)
    said = {"recipe": asdict(how), "data": sha256, "from": first and first.sha256}
    fingerprint = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    side = model.config.image_size
    fit = Fit(model, Centred(**vars(labelled), side=side), _pace(how, first), folder, fingerprint)
    fit.run(progress)
    made = _calibrated(model, Centred(**vars(labelled), side=side), how.seed, name, sha256)
    path = checkpoint_path(folder, name)
    write_checkpoint(path, made)
    checkpoint = load_checkpoint(path)
    command = _command(Path(data), folder, name, how, start_from, pixel_arcsec)
    card = {
        **inspect(checkpoint),
        "training": {**asdict(how), "command": command, "from": first and first.sha256},
        "rounds": fit.progress.rounds,
        "data": labelled.facts(),
        "tests": {"test": _tested(checkpoint, labelled, how.threads)},
    }
    write_own_card(folder, card)
    fit.forget()
    return card


@dataclass(frozen=True)
class Centred(LabelledData):
    """The data with images cut to the side that the network looks at, as the engine cuts them."""

    side: int = 0

    def read(self, rows: NDArray[np.int64], names: Sequence[str] = COLUMNS) -> Columns:
        """As it is read, with the images' central pixels."""
        columns = super().read(rows, names)
        if "image" not in names:
            return columns
        image = columns["image"]
        top, left = ((n - self.side) // 2 for n in image.shape[2:])
        cut = image[:, :, top : top + self.side, left : left + self.side]
        return {**columns, "image": cut}


def _new_model(data: LabelledData, how: OwnRecipe) -> AstroMAE:
    """A model of the preset for these images, with their sky, colours and redshifts."""
    model = AstroMAE(_config(data, how.preset))
    some = Centred(**vars(data), side=model.config.image_size).sample("train", NORMALISED_BY)
    finite = np.isfinite(some["image"]).all(axis=(1, 2, 3)) & np.isfinite(some["mag"]).all(axis=1)
    if not finite.any():
        raise InputError(
            "no object has all pixels and all magnitudes", code="all-incomplete", hint="see pack"
        )
    complete = {name: column[finite] for name, column in some.items()}
    fit_normalisation(model, complete)
    favour_colours(model, complete)
    return model


def _config(data: LabelledData, preset: str) -> AstroMAEConfig:
    side = data.image_side // SIDE_STEP * SIDE_STEP
    if side < 2 * SIDE_STEP:
        raise InputError(
            f"the images are {data.image_side} pixels wide",
            code="too-small",
            hint=f"the network needs {2 * SIDE_STEP} or more",
        )
    return replace(PRESETS[preset], image_size=side, bands=len(data.bands))


def _started(first: Checkpoint, data: LabelledData) -> AstroMAE:
    c = first.config
    if first.bands != data.bands or c.image_size > data.image_side:
        raise InputError(
            f"the checkpoint takes {listed_bands(first.bands)} of {c.image_size} pixels, the data "
            f"have {listed_bands(data.bands)} of {data.image_side}",
            code="unfit-checkpoint",
            hint="leave --from out, or pack the same bands and larger cutouts",
        )
    return restored(first)


def _pace(how: OwnRecipe, first: Checkpoint | None) -> Pace:
    usual = 3e-3 if first is None else 3e-4
    rate = usual if how.rate is None else how.rate
    round_steps = min(how.round_steps, how.steps)
    return Pace(
        how.steps, how.batch, rate, how.decay, how.band_dropout, how.seed, round_steps, how.patience
    )


def _calibrated(model: AstroMAE, data: LabelledData, seed: int, name: str, sha256: str) -> bytes:
    """The checkpoint: errors, domain and p(z) from objects that training never saw."""
    learned = data.sample("train", DOMAIN_OBJECTS, ("mag", "z_spec"))
    calibration = _Seen.of(model, data, "calibration", seed)
    side = np.empty((0, model.config.image_size))
    kinds = [{"mag": calibration.columns["mag"]}]
    domain = fit_domain({**learned, "image": side}, kinds, data.pixel_arcsec, data.bands)
    errors = error_table(calibration.z_phot, calibration.z_gaps, calibration.columns["z_spec"])
    grown_on = _Seen.of(model, data, "validation", seed).residuals(domain)
    pz = fit_quantiles(grown_on, calibration.residuals(domain))
    z = learned["z_spec"]
    seen = Provenance(name, sha256, seed, float(z.min()), float(z.max()))
    return to_bytes(model, seen, errors, domain, pz, data.bands)


@dataclass(frozen=True)
class _Seen:
    """A part's objects without their images, with what the model says of them.

    Attributes:
        columns: `mag`, `z_spec`, `object_id`.
        z_phot: Redshifts (N,).
        z_gaps, mag_gaps: Redshifts and magnitudes of the same objects without a band or two.
    """

    columns: Columns
    z_phot: NDArray[np.float32]
    z_gaps: NDArray[np.float32]
    mag_gaps: NDArray[np.float32]

    @classmethod
    def of(cls, model: AstroMAE, data: LabelledData, part: Part, seed: int) -> _Seen:
        """Read and predict a part piece by piece."""
        rng, pieces = np.random.default_rng([seed, 8]), []
        for columns in data.in_order(part):
            gaps, mag = drop_bands(columns["image"], columns["mag"], 1.0, rng)
            pieces.append(
                {
                    **{k: columns[k] for k in ("mag", "z_spec", "object_id")},
                    "z_phot": predict(model, columns["image"], columns["mag"]),
                    "z_gaps": predict(model, gaps, mag),
                    "mag_gaps": mag,
                    "lacks": ~np.isfinite(columns["image"]).all(axis=(1, 2, 3))
                    | ~np.isfinite(columns["mag"]).all(axis=1),
                }
            )
        whole = {k: np.concatenate([piece[k] for piece in pieces]) for k in pieces[0]}
        found = {k: whole.pop(k)[~whole["lacks"]] for k in ("z_phot", "z_gaps", "mag_gaps")}
        kept = ~whole.pop("lacks")
        return cls({k: c[kept] for k, c in whole.items()}, **found)

    def residuals(self, domain: Domain) -> Residuals:
        """Of the objects as they are, and once more without a band or two."""
        gaps = residuals_of(
            domain, self.z_gaps, {**self.columns, "mag": self.mag_gaps}, incomplete=True
        )
        return Residuals.together([residuals_of(domain, self.z_phot, self.columns), gaps])


def _tested(checkpoint: Checkpoint, data: LabelledData, threads: int) -> dict[str, Any]:
    """Metrics of the objects that nothing was made of, by the engine that runs use."""
    engine, pz = Engine(checkpoint, threads), PzStatistics()
    parts, spec = [], []
    for columns in data.in_order("test"):
        parts.append(engine.predict_all(columns["image"], columns["mag"]))
        spec.append(columns["z_spec"])
        pz.see(parts[-1].z_quantiles.astype(np.float64), spec[-1])
    made, z = Predictions.together(parts), np.concatenate(spec)
    known = np.isfinite(made.z_phot)
    scores = score(made.z_phot[known], made.z_phot_err[known], z[known]).as_dict()
    return {"scores": scores, "pz": pz.metrics()}


def _command(
    data: Path, out: Path, name: str, how: OwnRecipe, first: Path | None, scale: float | None
) -> str:
    """The command line that does the same again."""
    options: dict[str, Any] = {"data": data, "name": name, "from": first, "pixel-scale": scale}
    options |= {
        "preset": how.preset,
        "steps": how.steps,
        "batch": how.batch,
        "seed": how.seed,
        "threads": how.threads,
        "patience": how.patience,
        "out": out,
    }
    given = {option: value for option, value in options.items() if value is not None}
    words = (word for option, value in given.items() for word in (f"--{option}", str(value)))
    return shlex.join(("cosmic", "model", "train", *words))
