"""`python -m bench.coverage`: how often redshifts lie inside the intervals of p(z), by population.

The first line tests the calibration as it is meant: held-out real galaxies, each by a table that it
had no part in. The others are drawn of galaxies that training never saw. Of objects inside the
magnitudes of the training that it hardly held (faint, blue), half should be flagged, or the 68 %
interval hold at least 55 % of the rest. Flagged objects have p(z) too, and are counted apart.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from bench.domain.__main__ import CASES, MODEL, Case
from cosmic.contracts.flags import Flag
from cosmic.metrics.pz import INTERVALS, PzStatistics, within
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine, Predictions
from cosmic.model.training.calibrate_model import restored
from cosmic.model.training.calibrate_pz import calibrate_pz
from cosmic.model.training.card import evaluate
from cosmic.model.training.recipe import Recipe
from cosmic.model.training.samples import load, sources


def main() -> int:
    """Measure every population and print one table."""
    parser = argparse.ArgumentParser(prog="bench.coverage", description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="a checkpoint with p(z)")
    path = parser.parse_args().model
    shares = [f"inside {name} %" for name in INTERVALS]
    print("| population | N | flagged |", " | ".join(shares), "| CRPS | CDE loss |")
    print("|---" * (5 + len(shares)) + "|")
    print(out_of_fold(path))
    engine = Engine(load_checkpoint(path), 2)
    for case in CASES:
        for line in rows(engine, case):
            print(line)
    return 0


def out_of_fold(path: Path) -> str:
    """The held-out real galaxies, each by a table made without it."""
    checkpoint = load_checkpoint(path.read_bytes())
    if checkpoint.domain is None:
        return "| no domain, so no p(z) |"
    recipe = Recipe(seed=checkpoint.provenance.seed or 0)
    source = sources(recipe.objects, recipe.seed)
    made = calibrate_pz(restored(checkpoint), checkpoint.domain, source, recipe.seed)
    if made is None:
        return "| too few objects |"
    found = made.out_of_fold()
    cells = (f"{100 * found[f'coverage_{name}']:.1f}" for name in INTERVALS)
    return f"| catalog, held out, out of fold | {found['n']:,} | – | {' | '.join(cells)} | – | – |"


def rows(engine: Engine, case: Case) -> list[str]:
    """A population's lines: objects that are in the domain, and those flagged out of it."""
    columns = load((case.sample,))
    chosen = case.chosen(columns)
    made = evaluate(engine, {name: column[chosen] for name, column in columns.items()})
    outside, spec = (made.flags & Flag.OUT_OF_DOMAIN) != 0, columns["z_spec"][chosen]
    share = f"{100 * outside.mean():.1f} %"
    parts = ((case.name, ~outside, share), (f"{case.name}: the flagged", outside, ""))
    return [
        _row(name, made, spec, some, word)
        for name, some, word in parts
        if np.count_nonzero(some) >= 100
    ]


def _row(name: str, made: Predictions, spec: np.ndarray, some: np.ndarray, share: str) -> str:
    quantiles, z = made.z_quantiles[some].astype(np.float64), spec[some]
    statistics = PzStatistics()
    statistics.see(quantiles, z)
    found = statistics.metrics()
    cells = [f"{100 * within(i, quantiles, z).mean():.1f}" for i in INTERVALS]
    scores = f"{found['crps']:.4f} | {found['cde_loss']:.1f}"
    return f"| {name} | {len(z):,} | {share} | {' | '.join(cells)} | {scores} |"


if __name__ == "__main__":
    sys.exit(main())
