"""From your own FITS table of cutouts to a catalogue, on this machine and without any stack.

    python examples/own_fits_table.py [TABLE.fits] [--out FOLDER]

The table needs a column of cutouts, 5 bands of square images in nanomaggies, and the magnitudes
u, g, r, i and z. Without a table of your own, one of simulated galaxies is written first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table

import cosmic
from cosmic.data.synth.dataset import Sample, rows

BANDS = "ugriz"
MODEL = Path(__file__).parents[1] / "models/tiny/astromae-tiny.safetensors"


def write_sample(path: Path) -> None:
    """Write a table as a survey's cutout service might return it."""
    galaxies = rows(Sample("catalog", objects=200), 0, 200)
    table = Table({"objID": galaxies["object_id"], "ra": galaxies["ra"], "dec": galaxies["dec"]})
    table["cutout"] = galaxies["image"]
    for i, band in enumerate(BANDS):
        table[band] = galaxies["mag"][:, i]
        table[f"err_{band}"] = galaxies["mag_err"][:, i]
    table["specz"] = galaxies["z_spec"]
    table.write(path)


def main() -> None:
    """Inspect the table, pack it, predict its redshifts and show the first of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path, nargs="?", help="your FITS table")
    parser.add_argument("--out", type=Path, default=Path("own-table"), help="folder to write to")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if (table := given.table) is None:
        write_sample(table := given.out / "table.fits")

    # SkyServer's names are known. Others are named here, never guessed:
    # cosmic.Choices(names={"mag": "my_u,my_g,my_r,my_i,my_z"})
    columns = cosmic.Choices()
    for field, facts in cosmic.look(table, 0, columns)["fields"].items():
        print(f"{field}: {facts['dtype']} {facts['shape']}, packed as {facts['column']}")

    packed = cosmic.pack([table], given.out / "data", columns, partition_bytes=25 << 20)
    print(f"packed {packed.rows} rows into {len(packed.partitions)} partitions")

    run = cosmic.run_local(given.out / "data", MODEL, given.out)
    catalogue = cosmic.read_catalogue(str(run.fits))
    print(catalogue["object_id", "z_phot", "z_phot_err", "z_spec", "flags"][:5])
    if np.isfinite(run.metrics["sigma_nmad"] or np.nan):
        print(f"sigma_NMAD {run.metrics['sigma_nmad']:.4f} of {run.metrics['n']} galaxies")


if __name__ == "__main__":
    main()
