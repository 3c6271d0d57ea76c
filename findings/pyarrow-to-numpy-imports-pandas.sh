#!/usr/bin/env bash
# Package: pyarrow 26.0.1; pandas 3.1.1; numpy 2.4.6.
#
# Behaviour: `to_numpy` of a column and `take` with an array of NumPy import all of pandas where it is
# installed, although no pandas object goes in or comes out. So does `pyarrow.array`, of an array or of
# a list.
#
# One would guess: that NumPy is all they need, as where pandas is not installed.
#
# Seen: a process has pandas among its modules after either call, and has 50 MiB more in memory.
#
# Source: the documentation of pyarrow.ChunkedArray.to_numpy ("Return a NumPy copy of this array") and
# of pyarrow.Table.take.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6

cd "$FOLDER"
for call in 'table["x"].to_numpy()' 'table.take(np.array([0, 2]))' 'pa.array([1.5])'; do
  venv/bin/python - "$call" <<'PROGRAM'
import resource
import sys

import numpy as np
import pyarrow as pa

numbers = pa.py_buffer(np.array([1.5, 2.5, 3.5]))
column = pa.Array.from_buffers(pa.float64(), 3, [None, numbers])
table = pa.Table.from_arrays([column], ["x"])
assert "pandas" not in sys.modules
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
eval(sys.argv[1])
more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(f"{sys.argv[1]}: pandas {'pandas' in sys.modules}, {more:.0f} MiB more")
assert "pandas" in sys.modules, "it leaves pandas alone now"
PROGRAM
done
echo "as described"
