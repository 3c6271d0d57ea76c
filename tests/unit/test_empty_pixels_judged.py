"""Images without any light, of which too few can be compared to refuse them, are judged."""

from __future__ import annotations

import numpy as np
import pytest

from cosmic.data.photometry_check import Comparison, judge


@pytest.mark.parametrize("objects", range(1, 17))
def test_empty_images_are_judged_whatever_their_number(objects: int) -> None:
    image = np.zeros((objects, 5, 32, 32), np.float32)
    mag = np.full((objects, 5), 18.0, np.float32)
    report = judge(Comparison.of(image, mag))
    assert report.refused or not report.factor
