"""Reductions, scans and their ops against numpy, for any values and sizes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fmilib.collectives.entries import by_rank, entry
from fmilib.wire import codec, reductions

NUMBERS = st.one_of(st.integers(-9, 9).map(float), st.just(float("nan")))


def _folded(values: list[float], name: str) -> tuple[Any, Any]:
    pairs = [reductions.pairs(np.array([value]), rank) for rank, value in enumerate(values)]
    found = functools.reduce(reductions.BUILTIN[name].combine, pairs)[0]
    return found["value"], found["location"]


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_minloc_and_maxloc_are_numpys_argmin_and_argmax(values: list[float]) -> None:
    for name, argument in (("minloc", np.argmin), ("maxloc", np.argmax)):
        value, location = _folded(values, name)
        assert location == argument(values)
        assert np.array_equal(value, values[location], equal_nan=True)


@given(st.lists(NUMBERS, min_size=2, max_size=2))
def test_minloc_and_maxloc_dont_mind_the_order(values: list[float]) -> None:
    left, right = (reductions.pairs(np.array([value]), rank) for rank, value in enumerate(values))
    for name in ("minloc", "maxloc"):
        combine = reductions.BUILTIN[name].combine
        assert combine(left, right).tobytes() == combine(right, left).tobytes()


@given(st.dictionaries(st.integers(0, 40), st.binary(max_size=200), max_size=8))
def test_entries_come_back_as_they_were(blobs: dict[int, bytes]) -> None:
    joined = b"".join(part for rank, blob in blobs.items() for part in entry(rank, [blob]))
    assert {rank: bytes(blob) for rank, blob in by_rank([memoryview(joined)], 41).items()} == blobs


@given(st.binary(max_size=300))
def test_garbled_entries_are_refused(raw: bytes) -> None:
    try:
        by_rank([memoryview(raw)], 4)
    except codec.CodecError:
        return


@given(st.booleans(), st.one_of(st.none(), st.booleans()))
def test_only_what_is_commutative_and_associative_may_be_regrouped(
    commutative: bool, associative: bool | None
) -> None:
    op = reductions.named(np.subtract, commutative=commutative, associative=associative)
    assert op.ordered == (not (commutative and associative is not False))
