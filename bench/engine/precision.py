"""`python -m bench.engine.precision`: what bf16 does to z_phot of the committed checkpoint.

The objects are the demo's held-out galaxies: real photometry and redshifts, simulated pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.errors import InputError
from cosmic.metrics.photo_z import photo_z_metrics
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"

Floats = NDArray[np.floating[Any]]


def main() -> int:
    """Predict all held-out galaxies in both precisions and print how they differ."""
    with TemporaryDirectory() as name:
        (path,) = write_dataset(Path(name), Sample("catalog", split="test"), 1_000_000)
        columns = load_file(path)
    try:
        z = {p: _predicted(p, columns) for p in ("float32", "bf16")}
    except InputError as error:
        print(error.message)
        return 1
    print_effect(z["float32"], z["bf16"], columns["z_spec"])
    return 0


def _predicted(precision: str, columns: dict[str, NDArray[Any]]) -> Floats:
    engine = Engine(load_checkpoint(CHECKPOINT), 1, precision=precision)
    return engine.predict_all(columns["image"], columns["mag"]).z_phot


def print_effect(plain: Floats, reduced: Floats, z_spec: Floats) -> None:
    """The differences |dz|/(1+|z|), and the metrics of each precision."""
    differ = np.abs(reduced - plain) / (1 + np.abs(plain))
    median, high, most = np.quantile(differ, (0.5, 0.99, 1.0))
    print(f"{len(differ)} galaxies, |dz|/(1+|z|) of bf16 from float32: "
          f"median {median:.1e}, 99 of 100 below {high:.1e}, largest {most:.1e}")  # fmt: skip
    print("| precision | sigma_NMAD | bias (mean) | beyond 0.05 |")
    print("|---" * 4 + "|")
    for name, z in (("float32", plain), ("bf16", reduced)):
        found = photo_z_metrics(z, z_spec, np.full(len(z), np.nan))
        pasquet = found["pasquet"]
        print(f"| {name} | {found['sigma_nmad']:.5f} | {pasquet['bias_mean']:+.5f} "
              f"| {pasquet['outliers_0.05']:.2%} |")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
