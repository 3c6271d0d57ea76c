#!/usr/bin/env bash
# Package: pyarrow 26.0.1; numpy 2.4.6.
#
# Behaviour: `flatten()` of a column of fixed-size lists (an image a row, say) leaves out the rows
# that are null, although their place is there in memory: the rows behind a null move up. `values`
# keeps the place, but ignores that the column may be a slice of a longer one.
#
# One would guess: N lists of length L flatten to N x L values whatever the nulls, as the layout in
# memory has them; and a slice's `values` are those of the slice.
#
# Seen: with the second of three pairs null, `flatten()` has four values and `values` six; of the
# last two of three pairs, `values` still has all six.
#
# Source: https://arrow.apache.org/docs/python/generated/pyarrow.FixedSizeListArray.html; both are
# meant so, as https://github.com/apache/arrow/pull/15210 and
# https://github.com/apache/arrow/issues/41672 say, and met with surprise there.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pyarrow==26.0.1 numpy==2.4.6

"$FOLDER/venv/bin/python" - <<'PROGRAM'
import pyarrow as pa

PAIRS = pa.list_(pa.float32(), 2)
with_null = pa.array([[1, 2], None, [5, 6]], PAIRS)
print("null in the middle: flatten", with_null.flatten().to_pylist(), "values", with_null.values.to_pylist())
assert with_null.flatten().to_pylist() == [1, 2, 5, 6], "the place of a null row is kept now"
assert len(with_null.values) == 6

last_two = pa.array([[1, 2], [3, 4], [5, 6]], PAIRS).slice(1)
print("a slice: flatten", last_two.flatten().to_pylist(), "values", last_two.values.to_pylist())
assert last_two.flatten().to_pylist() == [3, 4, 5, 6]
assert last_two.values.to_pylist() == [1, 2, 3, 4, 5, 6], "values are those of the slice now"
PROGRAM
echo "as described"
