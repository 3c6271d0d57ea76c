"""p(z) of a model that learned from the built-in samples, and how well it holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cosmic.data.synth.dataset import Columns
from cosmic.data.synth.split import mixed
from cosmic.metrics.pz import INTERVALS, within
from cosmic.model.astromae import AstroMAE
from cosmic.model.domain import Domain
from cosmic.model.pz import QuantileTable
from cosmic.model.training.calibrate import predict
from cosmic.model.training.fit_quantiles import Residuals, filled, fit_quantiles, residuals_of
from cosmic.model.training.samples import Sources, drop_bands, load

FOLDS = 10
FOLD_KEY = np.uint64(0x5EED)  # another hash than the one that holds galaxies out


@dataclass(frozen=True)
class CalibratedPz:
    """The table, and what its cells are filled with.

    Attributes:
        real: Residuals of the real galaxies that it is calibrated for.
        drawn: Of simulated objects.
    """

    table: QuantileTable
    real: Residuals
    drawn: Residuals

    def out_of_fold(self) -> dict[str, float]:
        """Coverage of each complete real galaxy by a table that it had no part in.

        The galaxies are cut into ten parts by a hash of their ids; the cells are filled once
        without each.

        Returns:
            `n`, and for each of `INTERVALS` the share of galaxies inside, as `coverage_68`.
        """
        fold = mixed(self.real.object_id.astype(np.uint64) ^ FOLD_KEY) % np.uint64(FOLDS)
        complete = self.real.features[:, 0] == 0
        inside = dict.fromkeys(INTERVALS, 0)
        for part in range(FOLDS):
            kept, tested = self.real.take(fold != part), self.real.take((fold == part) & complete)
            table = filled(self.table, kept, Residuals.together([kept, self.drawn]))
            quantiles = table.residuals[table.cells(tested.features)].astype(np.float64)
            for name in INTERVALS:
                inside[name] += int(within(name, quantiles, tested.values).sum())
        n = int(complete.sum())
        return {"n": n, **{f"coverage_{k}": round(v / n, 6) for k, v in inside.items()}}


def calibrate_pz(
    model: AstroMAE, domain: Domain, source: Sources, seed: int
) -> CalibratedPz | None:
    """Make the quantiles of p(z) of a model, and keep what it takes to test them.

    The cells are grown on one half of the drawn objects and on real galaxies of the training;
    filled with real galaxies that training never saw, and where these are too few with the other
    half of the drawn objects as well.

    Args:
        model: In evaluation mode.
        domain: Of it.
        source: What it learned from, and what is left.
        seed: Of the choice of bands to drop for incomplete objects.

    Returns:
        None if there are too few objects.
    """
    drawn, seen = [Residuals.none()], [Residuals.none()]
    for sample in source.calibrate:
        found = _with_gaps(model, domain, load((sample,)), seed)
        (seen if sample.population == "catalog" else drawn).append(found)
    drawn += [_complete(model, domain, load((sample,))) for sample in source.beyond]
    real = [_with_gaps(model, domain, load((sample,)), seed) for sample in source.real]
    grown_on = Residuals.together([*seen, *(part.take(slice(0, None, 2)) for part in drawn)])
    fill = Residuals.together([part.take(slice(1, None, 2)) for part in drawn])
    unseen = Residuals.together([Residuals.none(), *real])
    table = fit_quantiles(grown_on, unseen, fill)
    return None if table is None else CalibratedPz(table, unseen, fill)


def _complete(model: AstroMAE, domain: Domain, data: Columns) -> Residuals:
    z_phot = predict(model, data["image"], data["mag"])
    return residuals_of(domain, z_phot, data)


def _with_gaps(model: AstroMAE, domain: Domain, data: Columns, seed: int) -> Residuals:
    """The objects as they are, and once more without a band or two."""
    image, mag = drop_bands(data["image"], data["mag"], 1.0, np.random.default_rng([seed, 9]))
    z_phot = predict(model, image, mag)
    gaps = residuals_of(domain, z_phot, {**data, "mag": mag}, incomplete=True)
    return Residuals.together([_complete(model, domain, data), gaps])
