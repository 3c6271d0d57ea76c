"""Memory by the page, used again when nobody looks at it."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from cosmic.data import page_memory as pages
from cosmic.data.page_memory import KEPT_BYTES, STEP_BYTES, new_pages, page_array, page_memory


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    monkeypatch.setattr(pages, "_free", pages._Free())


def address(memory: memoryview) -> int:
    return int(np.frombuffer(memory, np.uint8).ctypes.data)


@pytest.mark.parametrize("length", [1, 4096, 10_000, 3_000_000])
def test_it_can_be_written_and_read_as_an_array(length: int) -> None:
    part = page_memory(length)
    assert len(part) == length
    part[:] = np.arange(length, dtype=np.uint8).data
    array = np.frombuffer(part, np.uint8)
    del part  # the array alone keeps it
    np.testing.assert_array_equal(array, np.arange(length, dtype=np.uint8))


def test_of_no_bytes_there_are_none() -> None:
    assert len(page_memory(0)) == 0
    assert page_array((0, 5), np.float32).shape == (0, 5)
    assert len(new_pages(0)) == 1


def test_an_array_has_the_shape_and_dtype_that_were_asked_for() -> None:
    array = page_array((3, 5, 7), ">f4")
    assert (array.shape, array.dtype) == ((3, 5, 7), np.dtype(">f4"))
    assert array.flags.writeable
    assert array.flags.c_contiguous


def test_what_somebody_looks_at_is_never_given_to_another() -> None:
    held = [page_memory(2 * STEP_BYTES) for _ in range(8)]
    for number, part in enumerate(held):
        part[:] = bytes([number]) * len(part)
    seen = [np.frombuffer(part, np.uint8)[1::2] for part in held]
    del held, part
    others = [page_memory(2 * STEP_BYTES) for _ in range(8)]
    for other in others:
        other[:] = b"x" * len(other)
    assert [set(view.tolist()) for view in seen] == [{number} for number in range(8)]


def test_it_is_used_again_when_the_last_view_of_it_is_gone() -> None:
    part = page_memory(STEP_BYTES)
    view, first = np.frombuffer(part, np.uint8)[5:9].view(np.float32), address(part)
    del part
    assert address(page_memory(STEP_BYTES)) != first
    del view
    found = {address(one) for one in [page_memory(STEP_BYTES) for _ in range(2)]}
    assert first in found


def test_no_more_is_kept_than_a_little() -> None:
    many = [page_memory(STEP_BYTES) for _ in range(2 * KEPT_BYTES // STEP_BYTES)]
    del many
    kept = sum(map(len, pages._free._pages))
    assert kept == KEPT_BYTES
