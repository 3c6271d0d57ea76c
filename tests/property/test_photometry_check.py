"""Any wrong unit and any wrong order of bands is found in real photometry, by its own factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS
from cosmic.data.photometry_check import (
    BRIGHTEST,
    FAINTEST,
    PIECE_BYTES,
    PIECE_ROWS,
    PIECES,
    Comparison,
    judge,
    mismatched,
    spread,
)
from cosmic.data.synth.dataset import Sample, rows

Galaxies = tuple[NDArray[Any], NDArray[Any]]
ROWS = 128
MARGIN = 1.3  # two standard errors of a median of 64


@pytest.fixture(scope="module")
def galaxies() -> Galaxies:
    columns = rows(Sample("catalog", None), 0, ROWS)
    return columns["image"], columns["mag"]


@given(exponent=st.floats(-9, 9))
def test_a_factor_is_recovered(exponent: float, galaxies: Galaxies) -> None:
    image, mag = galaxies
    right, factor = judge(Comparison.of(image, mag)), 10.0**exponent
    found = judge(Comparison.of(image * np.float32(factor), mag))
    assert right.verdict == "ok"
    ratios = {band: (b.ratio or 0) * factor for band, b in right.bands.items()}
    assert {band: b.ratio for band, b in found.bands.items()} == pytest.approx(ratios, rel=1e-4)
    if not 0.15 < factor < 4:
        assert found.verdict == "unit"
        assert found.factor == pytest.approx(np.median(list(ratios.values())), rel=1e-4)
    if 0.3 < factor < 2:
        assert found.verdict == "ok"


@given(order=st.permutations(range(len(BANDS))), exponent=st.sampled_from([-4, 0, 2]))
def test_an_order_of_bands_is_recovered(
    order: list[int], exponent: int, galaxies: Galaxies
) -> None:
    image, mag = galaxies
    found = judge(Comparison.of(image[:, order] * np.float32(10.0**exponent), mag))
    if order == list(range(len(BANDS))):
        assert found.verdict == ("unit" if exponent else "ok")
        return
    assert (found.verdict, found.order) == ("bands", tuple(BANDS[i] for i in order))
    assert (found.factor is None) == (exponent == 0)
    assert found.factor is None or 0.8 < found.factor / 10.0**exponent < 1.0


@given(scales=st.lists(st.floats(0.3, 300), min_size=5, max_size=5))
def test_scales_of_the_bands_are_not_taken_for_another_order(
    scales: list[float], galaxies: Galaxies
) -> None:
    image, mag = galaxies
    found = judge(Comparison.of(image * np.array(scales, np.float32)[None, :, None, None], mag))
    assert found.verdict in ("ok", "unit", "scales")
    assert found.refused or all(
        FAINTEST / MARGIN <= (b.ratio or 1) <= MARGIN * BRIGHTEST for b in found.bands.values()
    )


@given(files=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4 * PIECE_BYTES)), max_size=20))
def test_a_sample_is_bounded_and_takes_no_row_twice(files: list[tuple[int, int]]) -> None:
    counts, sizes = [n for n, _ in files], [size for _, size in files]
    pieces = spread(counts, sizes)
    taken = [(file, row) for file, start, stop in pieces for row in range(start, stop)]
    assert len(pieces) <= PIECES
    assert len(set(taken)) == len(taken)
    assert taken == sorted(taken)
    assert all(row < counts[file] for file, row in taken)
    assert bool(taken) == bool(sum(counts))
    for file, start, stop in pieces:
        assert 1 <= stop - start <= PIECE_ROWS
        assert stop - start == 1 or (stop - start) * sizes[file] <= PIECE_BYTES


def test_few_rows_are_all_taken() -> None:
    assert [stop - start for _, start, stop in spread([3, 0, 4], [1, 1, 1])] == [3, 4]
    assert sum(stop - start for _, start, stop in spread([200], [1])) == 200


@given(
    where=st.sets(st.integers(0, ROWS - 1), min_size=1), factor=st.sampled_from([1e-3, 0.01, 100])
)
def test_single_objects_are_told_apart(where: set[int], factor: float, galaxies: Galaxies) -> None:
    image, mag = galaxies[0].copy(), galaxies[1]
    image[sorted(where)] *= np.float32(factor)
    assert set(np.flatnonzero(mismatched(image, mag))) == where
