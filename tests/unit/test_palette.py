"""The timeline's colours, as people with a colour vision deficiency see them."""

from __future__ import annotations

import numpy as np
import pytest

from cosmic.report.palette import DARK, LIGHT, css_name
from cosmic.report.phases import PHASES

# Machado, Oliveira & Fernandes 2009 (IEEE TVCG 15, 1291), severity 1, on linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
D65 = np.array([0.95047, 1.0, 1.08883])


def lab(colour: str, vision: str) -> np.ndarray:
    """CIE 1976 L*a*b* of an sRGB colour as someone sees it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / D65
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_lab_is_that_of_the_standard() -> None:
    np.testing.assert_allclose(lab("#ffffff", "normal"), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(lab("#ff0000", "normal"), [53.24, 80.09, 67.20], atol=0.02)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("apart", [1, 2], ids=["neighbours", "one phase between"])
def test_phases_that_may_touch_differ(colours: dict[str, str], vision: str, apart: int) -> None:
    seen = [lab(colours[css_name(phase)], vision) for phase in PHASES]
    for i in range(len(PHASES) - apart):
        difference = np.linalg.norm(seen[i] - seen[i + apart])
        assert difference >= 20, (PHASES[i], PHASES[i + apart])
