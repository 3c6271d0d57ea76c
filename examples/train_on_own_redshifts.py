"""From an HDF5 file with redshifts, in other bands and another size, to a model and a catalogue.

    python examples/train_on_own_redshifts.py [FILE.hdf5] [--bands griz] [--out FOLDER]

Without a file of your own, one of simulated galaxies is written first: 48 x 48 pixels in g, r, i
and z, and the training is cut so short that the model is good for nothing but to show the way.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py

import cosmic
from cosmic.data.synth.dataset import Sample, rows

OBJECTS, SIDE = 600, 48


def write_sample(path: Path) -> None:
    """Write a file of galaxies without the u band."""
    galaxies = rows(Sample("legacy", OBJECTS, image_size=SIDE), 0, OBJECTS)
    with h5py.File(path, "w") as file:
        file.attrs["pixel_scale"] = 0.396
        file["image"] = galaxies["image"][:, 1:]
        file["object_id"], file["redshift"] = galaxies["object_id"], galaxies["z_spec"]
        for at, band in enumerate("ugriz"):
            if band != "u":
                file[f"mag_{band}"] = galaxies["mag"][:, at]
                file[f"mag_err_{band}"] = galaxies["mag_err"][:, at]


def main() -> None:
    """Pack the file, train, calibrate, test, and predict with the model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", help="your HDF5 file")
    parser.add_argument("--bands", default="griz", help="its bands, in the order of its images")
    parser.add_argument("--out", type=Path, default=Path("own-model"), help="folder to write to")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    recipe = cosmic.OwnRecipe()
    if (file := given.file) is None:
        write_sample(file := given.out / "galaxies.hdf5")
        recipe = cosmic.OwnRecipe(steps=4, batch=16, round_steps=2)
    choices = cosmic.Choices(bands=tuple(given.bands))
    cosmic.pack([file], given.out / "data", choices, partition_bytes=25 << 20)
    card = cosmic.train_on(given.out / "data", given.out / "model", "mine", recipe)
    side, bands = card["architecture"]["image_size"], ", ".join(card["data"]["bands"])
    sigma = card["tests"]["test"]["scores"]["sigma_nmad"]
    print(f"trained on {side} x {side} pixels in {bands}: sigma_NMAD {sigma:.3f}")
    model = given.out / "model" / "mine.safetensors"
    made = cosmic.predict(file, given.out / "z", model=model, page=False)
    frame = cosmic.read_catalogue_pandas(str(made.files["catalogue.parquet"]))
    print(frame[["object_id", "mag_g", "z_phot", "z_q16", "z_q84", "z_spec"]].head())


if __name__ == "__main__":
    main()
