"""No more processes than the machine's memory holds."""

from __future__ import annotations

import pytest

from cosmic_local.lambda_pool.memory import LEAST, PROCESS_BYTES, SHARE, affordable

GIB = 1 << 30


@pytest.mark.parametrize(
    ("wanted", "gib", "expected"), [(100, 64, 100), (300, 24, 98), (100, 0.1, LEAST), (2, 0.1, 2)]
)
def test_what_is_free_is_enough(wanted: int, gib: float, expected: int) -> None:
    found = affordable(wanted, int(gib * GIB))
    assert found == expected
    assert found <= LEAST or found * PROCESS_BYTES <= SHARE * gib * GIB
