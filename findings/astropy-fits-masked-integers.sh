#!/usr/bin/env bash
# Package: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: a masked integer column is written to a FITS table with its fill value as TNULL, and
# the fill value is one that the column may hold: 63 for unsigned bytes, 16959 for 16 bits, 999999
# for 32 and 64 bits. Rows that really hold it come back masked. Nothing warns of it.
#
# One would guess: a null value that no row holds, or a warning where there is none.
#
# Seen: counts 5, 63 and one masked value, as unsigned bytes, come back as 5 and two masked values.
# The same as 32 bits keeps the 63; there, 999999 is lost.
#
# Source: TNULLn is section 7.3.2 of the FITS standard 4.0; reported, among others, as
# https://github.com/astropy/astropy/issues/4708 and https://github.com/astropy/astropy/issues/14693
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python -W error::UserWarning - <<'PROGRAM'
import numpy as np
from astropy.table import MaskedColumn, Table


def there_and_back(kind, value):
    values = np.array([5, value, 7], kind)
    Table({"n": MaskedColumn(values, mask=[False, False, True])}).write("n.fits", overwrite=True)
    return Table.read("n.fits")["n"].tolist()


for kind, value in (("u1", 63), ("i2", 16959), ("i4", 999999), ("i8", 999999)):
    print(f"{kind}: 5, {value} and a masked value came back as {there_and_back(kind, value)}")
    assert there_and_back(kind, value) == [5, None, None], "the real value is kept now"
assert there_and_back("i4", 63) == [5, 63, None]
PROGRAM
echo "as described"
