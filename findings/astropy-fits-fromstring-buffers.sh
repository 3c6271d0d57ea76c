#!/usr/bin/env bash
# Package: astropy 8.0.2; numpy 2.4.6.
#
# Behaviour: `BinTableHDU.fromstring` takes an HDU as `bytes` or as an `mmap`, but not as a `bytearray`, a
# `memoryview` or an array of bytes: with these it raises a TypeError about joining strings, because it
# joins slices of what it was given to find the header.
#
# One would guess: that all of them work. The message for an object without a buffer says that the method
# "requires an object that supports the buffer interface such as bytes, buffer, memoryview, ndarray", and
# a table read into memory of one's own is the reason to call it.
#
# Seen: `bytes` and `mmap` give the three values; `bytearray` and `memoryview` raise "sequence item 0:
# expected str instance, ... found", an array "string operation on non-string array".
#
# Source: astropy/io/fits/hdu/base.py, `_readfrom_internal`: the check of the buffer interface and its
# message, and `block_iter` behind it.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
import io
import mmap

import numpy as np
from astropy.io import fits

PRIMARY_BYTES = 2880  # a header of one block, and no data
file = io.BytesIO()
fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0, 2.0, 3.0])]).writeto(file)
table = file.getvalue()[PRIMARY_BYTES:]
mapped = mmap.mmap(-1, len(table))
mapped[:] = table

for given in (table, mapped):
    assert fits.BinTableHDU.fromstring(given).data["a"].tolist() == [1.0, 2.0, 3.0]
for given in (bytearray(table), memoryview(table), np.frombuffer(table, np.uint8)):
    try:
        fits.BinTableHDU.fromstring(given).data
    except TypeError as error:
        print(type(given).__name__, "raises", error)
    else:
        raise SystemExit(f"{type(given).__name__} is taken")
PROGRAM
echo "as described"
