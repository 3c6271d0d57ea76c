"""From an HDF5 file as MultimodalUniverse lays it out to a catalogue, on this machine.

    python examples/hdf5_file.py [FILE.hdf5] [--out FOLDER]

Without a file of your own, one of simulated galaxies is written first: images in `image_array`
with the names of their bands beside them, magnitudes, ids and redshifts as columns.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

import cosmic
from cosmic.data.pack.summary import taken_rows
from cosmic.data.synth.dataset import Sample, rows

MODEL = Path(__file__).parents[1] / "models/tiny/astromae-tiny.safetensors"
BANDS = [f"sdss-{band}" for band in "ugriz"]


def write_sample(path: Path) -> None:
    """Write a file of 200 galaxies, with the bands in another order than Cosmic's own."""
    galaxies = rows(Sample("catalog", objects=200), 0, 200)
    order = [4, 3, 2, 1, 0]
    with h5py.File(path, "w") as file:
        file["image_array"] = galaxies["image"][:, order]
        names = np.array([[BANDS[i] for i in order]] * 200, dtype=h5py.string_dtype())
        file["image_band"] = names
        file["mag"] = galaxies["mag"]
        file["object_id"] = galaxies["object_id"]
        file["ra"], file["dec"] = galaxies["ra"], galaxies["dec"]
        file["z_spec"] = galaxies["z_spec"]


def main() -> None:
    """Pack the file, predict, and show what was taken for what."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", help="your HDF5 file")
    parser.add_argument("--out", type=Path, default=Path("own-hdf5"), help="folder to write to")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if (file := given.file) is None:
        write_sample(file := given.out / "file.hdf5")
    packed = cosmic.pack([file], given.out / "data", cosmic.Choices(), partition_bytes=25 << 20)
    for column, source, unit, missing in taken_rows(packed):
        print(f"{column} <- {source} {unit} {missing}".rstrip())
    run = cosmic.run_local(given.out / "data", MODEL, given.out)
    frame = cosmic.read_catalogue_pandas(str(run.parquet))
    print(frame[["object_id", "z_phot", "z_phot_err", "z_spec", "flags"]].head())


if __name__ == "__main__":
    main()
