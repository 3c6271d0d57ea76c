"""Ranges tell measured values from whatever a catalogue writes for "missing"."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import DTypeLike

from cosmic.contracts.plausible import (
    plausible_magnitude_errors,
    plausible_magnitudes,
    plausible_redshifts,
)

DTYPES = (np.float16, np.float32, np.float64)
NOT_FINITE = [np.nan, np.inf, -np.inf]
STAND_INS = [-99.0, -999.0, -9999.0, 99.0, 99.999, 999.0, 9999.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_catalogues_write_for_missing_is_no_value_in_any_dtype(dtype: DTypeLike) -> None:
    values = np.array([STAND_INS + NOT_FINITE], dtype)
    assert not plausible_magnitudes(values).any()
    assert not plausible_redshifts(values).any()
    assert not plausible_magnitude_errors(values).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_astropys_fill_value_is_no_value(dtype: DTypeLike) -> None:
    values = np.array([1e20, -1e20], dtype)
    assert not plausible_magnitudes(values).any()
    assert not plausible_redshifts(values).any()
    assert not plausible_magnitude_errors(values).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_limits_of_the_ranges(dtype: DTypeLike) -> None:
    magnitudes = np.array([-5.0, 0.0, 40.0, -5.1, 40.1], dtype)
    assert plausible_magnitudes(magnitudes).tolist() == [True, True, True, False, False]
    redshifts = np.array([-0.05, 0.0, 20.0, -0.1, -1.0, -9.0, 20.1], dtype)
    assert plausible_redshifts(redshifts).tolist() == [True, True, True, *[False] * 4]
    errors = np.array([0.0, 0.3, 45.0, -0.01, 45.1], dtype)
    assert plausible_magnitude_errors(errors).tolist() == [True, True, True, False, False]


def test_integers_are_judged_by_value() -> None:
    assert plausible_magnitudes(np.array([20, -9999, 99])).tolist() == [True, False, False]
