"""The domain that training fits: scikit-learn asks other processes what the machine is like."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmic.model.training.fit_domain import QUANTILE, fit_domain


def galaxies(n: int, redder: float, seed: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    colours = draw.normal([1.5, 0.8 + redder, 0.4 + redder, 0.3], 0.3, (n, 4))
    offsets = np.cumsum(np.column_stack([np.zeros(n), -colours]), axis=1)
    mag: NDArray[np.float32] = (draw.normal(18, 1, (n, 1)) + offsets).astype(np.float32)
    return mag


def test_a_rare_kind_of_training_object_loses_no_more_than_the_quantile() -> None:
    common, rare = galaxies(3000, 0, seed=1), galaxies(200, 0.7, seed=2)
    train = {
        "mag": np.concatenate([common, rare]),
        "z_spec": np.linspace(0.1, 0.3, 3200),
        "image": np.zeros((1, 5, 24, 24)),
    }
    fitted = fit_domain(train, [{"mag": common}, {"mag": rare}])
    shares = [fitted.place(kind).outside.mean() for kind in (common, rare)]
    assert max(shares) == pytest.approx(QUANTILE, abs=1 / len(rare))
    assert fitted.image_pixels == 24
    assert fitted.magnitudes == (train["mag"][:, 2].min(), train["mag"][:, 2].max())
    again = fit_domain(train, [{"mag": common}, {"mag": rare}])
    assert again.facts() == fitted.facts()
    assert fitted.place(common + 12).outside.all()
