#!/usr/bin/env bash
# Package: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: FITS has a byte of its own for a logical value that is not known (a zero, beside T and
# F). A masked column of booleans is written without it: what is masked is written as the value that
# lies under the mask, and comes back as if it had been known. No warning.
#
# One would guess: a masked value, as masked integers, floats and texts come back.
#
# Seen: True, False and a masked value come back as True, False, True; the file has T, F, T.
#
# Source: section 7.3.3.1 of the FITS standard 4.0 ("a byte value of zero ... indicates an
# undefined value").
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
from pathlib import Path

from astropy.table import MaskedColumn, Table

known = MaskedColumn([True, False, True], mask=[False, False, True])
Table({"known": known}).write("known.fits")
stored = Path("known.fits").read_bytes()[-2880:][:3]  # one row a byte, padded to a block
back = Table.read("known.fits")["known"]
print(f"stored {stored}, came back as {back.tolist()} of {type(back).__name__}")
assert stored == b"TFT", "it is stored otherwise now"
assert back.tolist() == [True, False, True], "it comes back otherwise now"
assert not hasattr(back, "mask")
PROGRAM
echo "as described"
