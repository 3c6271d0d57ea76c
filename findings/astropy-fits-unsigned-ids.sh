#!/usr/bin/env bash
# Package: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: FITS stores unsigned 64-bit integers as signed ones with TZERO 2^63. `fits.open` gives
# such a column back as unsigned integers; `BinTableHDU.fromstring` on the same bytes gives floats,
# which hold 53 bits. Identifiers of 19 digits lose their last ones.
#
# One would guess: the same bytes give the same column, whichever way they come in.
#
# Seen: 1237648720693755918 comes back as it is by `fits.open`, and as 1237648720693755904.0 by
# `fromstring`. With `uint=True`, `fromstring` agrees with `open`.
#
# Source: https://docs.astropy.org/en/stable/io/fits/usage/unfamiliar.html describes `uint` as the
# default of `open`; the convention is section 7.3.2 of the FITS standard 4.0.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

ID = 1237648720693755918
Table({"objid": np.array([ID], "u8")}).write("ids.fits")
with fits.open("ids.fits") as file:
    opened = file[1].data["objid"]
stored = Path("ids.fits").read_bytes()[2880:]  # behind the primary header, a block long
parsed = fits.BinTableHDU.fromstring(stored).data["objid"]
print(f"open: {opened.dtype} {int(opened[0])}, fromstring: {parsed.dtype} {int(parsed[0])}")
assert (opened.dtype.kind, int(opened[0])) == ("u", ID)
assert parsed.dtype.kind == "f", "both agree now"
assert int(parsed[0]) != ID
assert int(fits.BinTableHDU.fromstring(stored, uint=True).data["objid"][0]) == ID
PROGRAM
echo "as described"
