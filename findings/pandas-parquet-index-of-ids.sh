#!/usr/bin/env bash
# Package: pandas 3.1.1; pyarrow 26.0.1; numpy 2.4.6.
#
# Behaviour: a column of ids that was made the index of a data frame is in the Parquet file that
# `to_parquet` writes if the ids have a gap, and is not if they happen to count up evenly. `set_index`
# makes a RangeIndex of such ids, and a RangeIndex is written as three numbers in the file's metadata.
#
# One would guess: that whether a file has a column does not depend on the values in it. Any reader but
# pandas (DuckDB, polars, Arrow itself) finds no ids in the second file.
#
# Seen: the columns of the files are ["z", "object_id"] for the ids 5, 6, 8, and ["z"] for 5, 6, 7.
#
# Source: the documentation of pandas.DataFrame.to_parquet (index=None: "the RangeIndex will be stored as
# a range in the metadata so it doesn't require much space") and of pandas.DataFrame.set_index, which
# does not mention a RangeIndex.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6

cd "$FOLDER"
venv/bin/python - <<'PROGRAM'
import pandas as pd
import pyarrow.parquet as pq


def columns(ids: list[int]) -> list[str]:
    frame = pd.DataFrame({"object_id": ids, "z": [0.1, 0.2, 0.3]}).set_index("object_id")
    frame.to_parquet("a.parquet")
    return pq.read_schema("a.parquet").names


gap, even = columns([5, 6, 8]), columns([5, 6, 7])
print("with a gap", gap, "| even", even)
assert gap == ["z", "object_id"]
assert even == ["z"], "ids that count up are written as a column now"
PROGRAM
echo "as described"
