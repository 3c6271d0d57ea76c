"""The renderer: no light is made or lost, profiles have the shape they should."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import gammainc

from cosmic.data.synth.instrument import PIXEL_ARCSEC, SEEING_FWHM_ARCSEC
from cosmic.data.synth.morphology import Morphology
from cosmic.data.synth.render import DE_VAUCOULEURS, EXPONENTIAL, Pointing, render

Profile = tuple[NDArray[np.float64], NDArray[np.float64]]


def one(share: float, radius: float = 1.5, ratio: float = 0.5, angle: float = 0.4) -> Morphology:
    """One galaxy: a disk with a bulge of that share of the light."""
    a = np.array
    return Morphology(
        half_light=a([radius]),
        disk_radius=a([radius]),
        bulge_radius=a([radius]),
        disk_axis_ratio=a([ratio]),
        bulge_axis_ratio=a([ratio]),
        angle=a([angle]),
        bulge_share=np.full((1, 5), share),
    )


def seen(x: float = 0.0, y: float = 0.0) -> Pointing:
    return Pointing(np.array([[x, y]]), SEEING_FWHM_ARCSEC[None])


FLUX = np.array([[1.0, 10.0, 100.0, 150.0, 200.0]])


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize(("ratio", "angle"), [(1.0, 0.0), (0.3, 0.0), (0.3, 1.1)])
def test_a_large_enough_image_holds_all_the_light(share: float, ratio: float, angle: float) -> None:
    image = render(FLUX, one(share, 1.0, ratio, angle), seen(), size=192)
    np.testing.assert_allclose(image.sum(axis=(2, 3)), FLUX, rtol=2e-3)


def test_light_adds_up() -> None:
    disk, bulge = (render(FLUX, one(share), seen()) for share in (0.0, 1.0))
    both = render(FLUX, one(0.3), seen())
    np.testing.assert_allclose(both, 0.7 * disk + 0.3 * bulge, rtol=1e-4, atol=1e-6)


def test_every_pixel_is_finite_and_not_negative_for_extreme_sizes() -> None:
    for radius in (1e-3, 100.0):
        image = render(FLUX, one(0.5, radius, 0.05), seen())
        assert np.isfinite(image).all()
        assert (image >= 0).all()


def test_the_centre_of_light_is_where_it_was_asked_for() -> None:
    image = render(FLUX, one(0.0, 0.5), seen(1.25, -0.5), size=64)[0, 2].astype(np.float64)
    y, x = np.indices(image.shape) - 31.5
    np.testing.assert_allclose((image * x).sum() / image.sum(), 1.25, atol=0.01)
    np.testing.assert_allclose((image * y).sum() / image.sum(), -0.5, atol=0.01)


def test_the_major_axis_points_where_it_was_asked_for() -> None:
    image = render(FLUX, one(0.0, 3.0, 0.3, 0.7), seen(), size=128)[0, 2].astype(np.float64)
    y, x = np.indices(image.shape) - 63.5
    xx, xy, yy = ((image * m).sum() for m in (x * x, x * y, y * y))
    np.testing.assert_allclose(0.5 * np.arctan2(2 * xy, xx - yy), 0.7, atol=0.02)


def test_a_point_has_the_width_of_the_seeing() -> None:
    image = render(FLUX, one(0.0, 1e-3), seen(), size=65)[0]
    for band, fwhm in enumerate(SEEING_FWHM_ARCSEC / PIXEL_ARCSEC):
        profile = image[band, 32, 32:] / image[band, 32, 32]
        half = np.interp(0.5, profile[::-1], np.arange(len(profile))[::-1])
        np.testing.assert_allclose(2 * half, fwhm, rtol=0.06)


@pytest.mark.parametrize(
    ("profile", "index", "scale"),
    [(EXPONENTIAL, 1.0, 1.67835), (DE_VAUCOULEURS, 4.0, 7.66925)],
    ids=["exponential", "de-vaucouleurs"],
)
def test_mixtures_hold_the_light_a_sersic_profile_holds(
    profile: Profile, index: float, scale: float
) -> None:
    weights, variances = profile
    radius = np.array([0.3, 0.5, 1.0, 1.5, 2.0, 3.0])
    within = (1 - np.exp(-(radius[:, None] ** 2) / (2 * variances))) @ (weights / weights.sum())
    np.testing.assert_allclose(
        within, gammainc(2 * index, scale * radius ** (1 / index)), atol=0.06
    )
