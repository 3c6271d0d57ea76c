"""`python -m bench.domain`: which objects a model's domain leaves out, by population.

Objects like those of the training should hardly ever be out of domain, fainter ones nearly always,
and those inside the range of magnitudes that the training hardly held at least as often as not:
the last column says how well the stated error holds for those that are let through.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.flags import Flag
from cosmic.data.synth.dataset import Columns, Sample
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine
from cosmic.model.training.card import evaluate
from cosmic.model.training.samples import load

MODEL = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A population, and which of its objects count."""

    name: str
    sample: Sample
    chosen: Callable[[Columns], Mask]


def faint_blue(columns: Columns) -> Mask:
    """Inside the magnitudes of the training, which held only red galaxies there."""
    mag, z = columns["mag"], columns["z_spec"]
    faint = (mag[:, 2] > 17.8) & (mag[:, 2] < 19.5)
    blue: Mask = faint & (z > 0.1) & (z < 0.4) & (mag[:, 1] - mag[:, 2] < 1.0)
    return blue


CASES = (
    Case("legacy, held out", Sample("legacy", 10_000, 0, "test"), lambda c: c["z_spec"] > -1),
    Case("catalog, held out", Sample("catalog", None, 0, "test"), lambda c: c["z_spec"] > -1),
    Case("a magnitude fainter", Sample("faint", 6_000, 0, "test"), lambda c: c["mag"][:, 2] > 20.5),
    Case("faint blue", Sample("deep", 12_000, 0, "test"), faint_blue),
)


def main() -> int:
    """Measure every population and print one table."""
    parser = argparse.ArgumentParser(prog="bench.domain", description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="a checkpoint with a domain")
    engine = Engine(load_checkpoint(parser.parse_args().model), 2)
    print("| population | N | out of domain | within z_phot_err | of those let through |")
    print("|---" * 5 + "|")
    for case in CASES:
        print(row(engine, case))
    return 0


def row(engine: Engine, case: Case) -> str:
    """One line of the table."""
    columns = load((case.sample,))
    chosen = case.chosen(columns)
    made = evaluate(engine, {name: column[chosen] for name, column in columns.items()})
    within = np.abs(made.z_phot - columns["z_spec"][chosen]) <= made.z_phot_err
    outside = (made.flags & Flag.OUT_OF_DOMAIN) != 0
    shares = (outside.mean(), within.mean(), within[~outside].mean() if (~outside).any() else 0.0)
    cells = (f"{100 * share:.1f} %" for share in shares)
    return f"| {case.name} | {len(outside):,} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
