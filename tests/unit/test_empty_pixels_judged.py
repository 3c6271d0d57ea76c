"""Data sets most of whose images are empty are judged, however few there are."""

from __future__ import annotations

import numpy as np
import pytest

from cosmic.data.photometry_check import Comparison, judge


@pytest.mark.parametrize("objects", range(1, 17))
def test_images_that_are_mostly_empty_are_judged_whatever_their_number(objects: int) -> None:
    image = np.zeros((objects, 5, 32, 32), np.float32)
    mag = np.full((objects, 5), 18.0, np.float32)
    image[: objects // 3, :, 16, 16] = 10 ** (0.4 * (22.5 - 18.0))
    report = judge(Comparison.of(image, mag))
    assert report.refused or not report.factor
