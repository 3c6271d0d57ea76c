#!/usr/bin/env bash
# Packages: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: a column of arrays of varying length stores calibrated numbers as integers with TSCALn,
# as the FITS standard has it (4.0, sections 7.3.2 and 7.3.5). astropy multiplies the first row's
# integers by the scale and puts the products back into integers, so their fractions are cut off;
# the rows after it come as they are stored. The array's type stays that of the stored integers, and
# nothing is said.
#
# One would guess: TSCAL x stored as floats in every row, as astropy reads the same numbers from a
# column of fixed length.
#
# Seen: for rows stored as 1000, 1500 | 2000 | 2500, 3750 with TSCAL 0.001, astropy's rows are
# 1, 1 | 2000 | 2500, 3750, all int16; a fixed-length column of 1000, 2000, 2500 is 1.0, 2.0, 2.5.
#
# Source: the standard's sections above (https://fits.gsfc.nasa.gov/fits_standard.html);
# https://github.com/astropy/astropy/issues/8194 (open) reports the unscaled rows for TZERO.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
import numpy as np
from astropy.io import fits

STORED = [np.array(row, "i2") for row in ([1000, 1500], [2000], [2500, 3750])]
SCALE = 0.001

rows = np.empty(len(STORED), object)
rows[:] = STORED
columns = [
    fits.Column(name="spectrum", format="PI()", array=rows),
    fits.Column(name="first", format="I", array=np.array([row[0] for row in STORED])),
]
table = fits.BinTableHDU.from_columns(columns)
table.writeto("plain.fits")
with fits.open("plain.fits") as file:  # the same bytes, with a scale in the header
    for number in (1, 2):
        file[1].header[f"TSCAL{number}"] = SCALE
        file[1].header[f"TZERO{number}"] = 0.0
    file.writeto("scaled.fits")

heap = np.concatenate(STORED).astype(">i2").tobytes()
assert heap in open("scaled.fits", "rb").read(), "the integers are not stored as they were given"
with fits.open("scaled.fits") as file:
    spectra, fixed = list(file[1].data["spectrum"]), file[1].data["first"]

assert np.allclose(fixed, [SCALE * row[0] for row in STORED]), fixed
assert all(row.dtype == np.dtype("i2") for row in spectra), [row.dtype for row in spectra]
assert spectra[0].tolist() == [1, 1], spectra[0]
assert [row.tolist() for row in spectra[1:]] == [row.tolist() for row in STORED[1:]], spectra[1:]
print("fixed length:", fixed.tolist(), "| varying length:", [row.tolist() for row in spectra])
PROGRAM
echo "as described"
