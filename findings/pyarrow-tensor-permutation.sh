#!/usr/bin/env bash
# Package: pyarrow 26.0.1; numpy 2.4.6.
#
# Behaviour: an array whose axes were transposed (channels last, say) becomes a fixed-shape tensor
# array that keeps the memory as it is and remembers the order of the axes as `permutation`. Back
# as numpy, the axes come in another order unless the permutation is its own inverse.
#
# One would guess: to_numpy_ndarray(from_numpy_ndarray(x)) is x. Two swapped axes do come back,
# which hides it.
#
# Seen: (2, 4, 2, 3) comes back as (2, 3, 4, 2).
#
# Source: the type is specified in https://arrow.apache.org/docs/format/CanonicalExtensions.html; the
# review of the first version had doubts about this round trip:
# https://github.com/apache/arrow/pull/34883
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pyarrow==26.0.1 numpy==2.4.6

"$FOLDER/venv/bin/python" - <<'PROGRAM'
import numpy as np
import pyarrow as pa


def there_and_back(array):
    return pa.FixedShapeTensorArray.from_numpy_ndarray(array).to_numpy_ndarray()


memory = np.arange(48, dtype="f4").reshape(2, 2, 3, 4)
plain, swapped, rotated = memory, memory.transpose(0, 1, 3, 2), memory.transpose(0, 3, 1, 2)
assert np.array_equal(there_and_back(plain), plain)
assert np.array_equal(there_and_back(swapped), swapped)

back = there_and_back(rotated)
print(f"{rotated.shape} came back as {back.shape}")
assert (rotated.shape, back.shape) == ((2, 4, 2, 3), (2, 3, 4, 2)), "it comes back otherwise now"
PROGRAM
echo "as described"
