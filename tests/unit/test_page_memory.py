"""Memory by the page."""

from __future__ import annotations

import numpy as np
import pytest

from cosmic.data.page_memory import page_memory


@pytest.mark.parametrize("length", [0, 1, 4096, 10_000])
def test_it_is_zeros_that_can_be_written_and_read_as_an_array(length: int) -> None:
    part = memoryview(page_memory(length))[:length]
    assert bytes(part) == bytes(length)
    part[:] = bytes(i % 251 for i in range(length))
    array = np.frombuffer(part, np.uint8)
    del part  # the array alone keeps it
    np.testing.assert_array_equal(array, np.arange(length) % 251)
