"""A small untrained checkpoint, and objects to run it on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cosmic.model.architecture import PRESETS
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import ErrorTable, Provenance, to_bytes

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


@pytest.fixture(scope="session")
def checkpoint_bytes() -> bytes:
    """A tiny model with seeded weights, its redshifts all within -10 and 10."""
    torch.manual_seed(3)
    model = AstroMAE(PRESETS["tiny"])
    centres = np.array([0.0, 0.1], np.float32)
    errors = ErrorTable(
        centres, np.array([0.01, 0.02], np.float32), np.array([0.1, 0.2], np.float32)
    )
    return to_bytes(model, Provenance("untrained", "", 3, -10.0, 10.0), errors)


@pytest.fixture
def batch() -> Batch:
    """Eight complete objects."""
    rng = np.random.default_rng(5)
    image = rng.normal(0.0, 1.0, (8, 5, 32, 32)).astype(np.float32)
    return image, rng.normal(18.0, 1.0, (8, 5)).astype(np.float32)
