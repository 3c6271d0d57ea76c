#!/usr/bin/env bash
# Packages: fitsio 1.4.2, beside astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: a binary table stores calibrated numbers as integers with TSCALn and TZEROn, as the
# FITS standard has it (4.0, section 7.3.2). fitsio gives such a column the type of a float and
# fills it with numbers that are neither the stored integers nor the scaled values; no warning.
#
# One would guess: TZERO + TSCAL x stored, as astropy reads it and as fitsio itself does for images
# and for columns that are stored as floats. Or an error.
#
# Seen: for `counts`, stored as 1, 3, -8 with TSCAL 0.5 and TZERO 1, astropy reads 1.5, 2.5, -3.0;
# fitsio's dtype is >f4 and its values change from run to run (1.0, 1.0, nan in one of them).
#
# Source: the standard's section above (https://fits.gsfc.nasa.gov/fits_standard.html); no report of
# it was found.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  fitsio==1.4.2 astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
import fitsio
import numpy as np
from astropy.table import Table

STORED = {"counts": np.array([1, 3, -8], "i2"), "mag": np.array([1850, 2275, 3001], "i4")}
SCALE, ZERO = {"counts": 0.5, "mag": 0.01}, {"counts": 1.0, "mag": 0.0}

Table({**STORED, "z": np.array([0.1, 0.2, 0.3], "f4")}).write("table.fits")
with fitsio.FITS("table.fits", "rw") as file:
    for number, name in enumerate(STORED, 1):
        file[1].write_key(f"TSCAL{number}", SCALE[name])
        file[1].write_key(f"TZERO{number}", ZERO[name])

theirs, ours = fitsio.read("table.fits"), Table.read("table.fits")
for name, stored in STORED.items():
    value = ZERO[name] + SCALE[name] * stored
    assert np.allclose(ours[name], value), "astropy no longer applies the scale"
    assert theirs[name].dtype.kind == "f"
    assert not np.allclose(theirs[name], value), "fitsio now applies the scale"
    assert not np.allclose(theirs[name], stored), "fitsio now gives what is stored"
    print(f"{name}: right {value.tolist()}, astropy {ours[name].tolist()}, fitsio {theirs[name].tolist()}")
PROGRAM
echo "as described"
