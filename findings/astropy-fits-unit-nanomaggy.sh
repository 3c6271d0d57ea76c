#!/usr/bin/env bash
# Package: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: astropy knows the nanomaggy, the unit of flux of SDSS and the Legacy Surveys. A column in
# it is written to FITS without its unit: no TUNIT at all, with a warning. The same goes for AB
# magnitudes. A unit that astropy does not know, such as the same one under the name that a FITS
# file gives it, is written as it is.
#
# One would guess: if one of the two is lost, then the unknown one. The FITS standard (4.0, section
# 4.3) recommends units and does not forbid others.
#
# Seen: TUNIT1 is None for u.nmgy and for u.ABmag; 'nanomaggy' for a column that was read with
# TUNIT1 = 'nanomaggy' and written again.
#
# Source: known, https://github.com/desihub/fastspecfit/issues/72
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
import warnings

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.units import ABmag, UnrecognizedUnit, nmgy

FLUX = np.array([1.5, 22.0])


def written(table):
    """The TUNIT1 that astropy writes for a table, and its warnings about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table.write("written.fits", overwrite=True)
    said = [str(w.message) for w in caught if "could not be saved" in str(w.message)]
    return fits.getheader("written.fits", 1).get("TUNIT1"), said


for known in (nmgy, ABmag):
    table = Table({"flux": FLUX})
    table["flux"].unit = known
    unit, said = written(table)
    print(f"{known!r} is written as {unit!r}")
    assert unit is None, f"{known} is written now"
    assert said, "there is no warning any more"

column = fits.Column("flux", "D", unit="nanomaggy", array=FLUX)
fits.BinTableHDU.from_columns([column]).writeto("read.fits")
table = Table.read("read.fits")
unit, said = written(table)
print(f"{table['flux'].unit!r} is written as {unit!r}")
assert isinstance(table["flux"].unit, UnrecognizedUnit), "nanomaggy is understood now"
assert unit == "nanomaggy" and not said
PROGRAM
echo "as described"
