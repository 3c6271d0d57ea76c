"""Pixels against magnitudes: how often right objects and samples are flagged or refused by mistake,
and how many wrong ones are found. `python -m bench.pixels` prints two tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from cosmic.data.photometry_check import Comparison, judge, mismatched
from cosmic.data.synth.dataset import Sample, rows
from cosmic.data.synth.populations import POPULATIONS, Population

Images = NDArray[Any]
SIZES = (5, 16, 64, 256)
DRAWS = 200
ADU = np.array([110, 230, 210, 160, 35], np.float32)[:, None, None]


def main(objects: int = 20_000, seed: int = 0) -> None:
    """Print how the check does on held-out real galaxies and on drawn ones.

    Args:
        objects: Of each drawn population.
        seed: Of the draws.
    """
    found = {p: _sample(p, objects, seed) for p in POPULATIONS}
    typer.echo("| galaxies | objects | flagged as they are | x 0.01 | x 100 | bands reversed |")
    typer.echo("|---|---|---|---|---|---|")
    for name, (image, mag) in found.items():
        shares = [_flagged(wrong, mag) for _, wrong in islice(_spoiled(image), 4)]
        text = " | ".join(f"{100 * share:.2f} %" for share in shares)
        typer.echo(f"| {name} | {len(mag):,} | {text} |")
    typer.echo(f"\nRefused of {DRAWS} samples each (catalog):\n")
    typer.echo(f"| pixels | {' | '.join(f'{n} objects' for n in SIZES)} |")
    typer.echo("|---" * (len(SIZES) + 1) + "|")
    image, mag = found["catalog"]
    for how, wrong in _spoiled(image):
        text = " | ".join(f"{100 * _refused(wrong, mag, n, seed):.1f} %" for n in SIZES)
        typer.echo(f"| {how} | {text} |")


def _sample(population: Population, objects: int, seed: int) -> tuple[Images, Images]:
    sample = Sample(population, None if population == "catalog" else objects, seed)
    columns = rows(sample, 0, len(sample))
    return columns["image"], columns["mag"]


def _spoiled(image: Images) -> Iterator[tuple[str, Images]]:
    yield "as they are", image
    yield "x 0.01", image / np.float32(100)
    yield "x 100", image * np.float32(100)
    yield "bands reversed", np.ascontiguousarray(image[:, ::-1])
    yield "bands i and z exchanged", image[:, [0, 1, 2, 4, 3]]
    yield "microjansky", image * np.float32(3.631)
    yield "adu", image * ADU
    yield "zeros", np.zeros_like(image)
    yield "of other objects", np.roll(image, 1, axis=0)


def _flagged(image: Images, mag: Images) -> float:
    return float(mismatched(image, mag).mean())


def _refused(image: Images, mag: Images, objects: int, seed: int) -> float:
    draw = np.random.default_rng(seed)
    chosen = [draw.choice(len(mag), objects, replace=False) for _ in range(DRAWS)]
    return float(np.mean([judge(Comparison.of(image[c], mag[c])).refused for c in chosen]))


if __name__ == "__main__":
    typer.run(main)
