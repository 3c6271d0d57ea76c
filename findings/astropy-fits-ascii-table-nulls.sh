#!/usr/bin/env bash
# Package: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: the null value of an integer column in a FITS table of text (TABLE, not BINTABLE) is read
# as the number 0, without a mask and without a warning. The TNULL that the file states is still in the
# header that was read.
#
# One would guess: that the row is masked, as in a binary table, or that the null's own text comes back;
# a 0 cannot be told from a measurement of 0.
#
# Seen: `hdu.data["n"]` is [5, 0] of a column that holds 5 and the null "-9". (`Table.read` of the same
# file raises a TypeError: it takes the null's text for a fill value of integers.)
#
# Source: the FITS standard 4.0, 7.2.2 ("TNULLn: ... the character string that represents an undefined
# value"); astropy's documentation of `Column(null=...)`.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
import warnings

import numpy as np
from astropy.io import fits

warnings.simplefilter("error")
column = fits.Column("n", format="I5", ascii=True, array=[5, -9], null="-9")
fits.TableHDU.from_columns([column]).writeto("text.fits")
with open("text.fits", "rb") as file:
    assert b"    5   -9" in file.read(), "the null's text is not in the file"
with fits.open("text.fits") as file:
    assert file[1].header["TNULL1"].strip() == "-9"
    numbers = np.asarray(file[1].data["n"]).tolist()
print("numbers", numbers)
assert numbers == [5, 0], "the null is no longer a 0"
PROGRAM
echo "as described"
