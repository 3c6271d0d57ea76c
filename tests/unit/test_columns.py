"""Columns as the catalogue's types hold them."""

from __future__ import annotations

import numpy as np

from cosmic.contracts.columns import completed
from cosmic.contracts.plausible import plausible_magnitudes, plausible_redshifts


def test_what_float32_can_not_hold_is_missing_and_no_error() -> None:
    columns = {
        "image": np.zeros((2, 5, 4, 4)),
        "mag": np.full((2, 5), 1e300),
        "z_spec": np.array([-1e300, 0.1]),
    }
    made = completed(columns, 0, 0)
    assert not plausible_magnitudes(made["mag"]).any()
    assert plausible_redshifts(made["z_spec"]).tolist() == [False, True]
