"""The instrument: magnitudes and noise."""

from __future__ import annotations

import numpy as np

from cosmic.data.synth.instrument import (
    SOFTENING,
    asinh_magnitude,
    flux_error,
    pixel_noise,
    sky_sigma,
)


def test_bright_asinh_magnitudes_are_ordinary_ones() -> None:
    flux = np.full((1, 5), 100.0)
    mag, err = asinh_magnitude(flux, 0.01 * flux)
    np.testing.assert_allclose(mag, 22.5 - 5.0, atol=1e-3)
    np.testing.assert_allclose(err, 0.010857, rtol=1e-3)


def test_no_flux_has_a_finite_magnitude() -> None:
    mag, err = asinh_magnitude(np.zeros((1, 5)), np.ones((1, 5)))
    np.testing.assert_allclose(mag[0], -2.5 * np.log10(SOFTENING), rtol=1e-6)
    assert np.isfinite(err).all()


def test_empty_pixels_have_the_noise_of_the_sky() -> None:
    noise = pixel_noise(np.zeros((64, 5, 32, 32), np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(noise.std(axis=(0, 2, 3)), sky_sigma(), rtol=0.02)
    np.testing.assert_allclose(noise.mean(axis=(0, 2, 3)) / sky_sigma(), 0.0, atol=0.02)


def test_light_adds_noise_of_its_own() -> None:
    rng = np.random.default_rng(0)
    bright = pixel_noise(np.full((8, 5, 32, 32), 5.0, np.float32), rng).std(axis=(0, 2, 3))
    assert (bright > sky_sigma()).all()


def test_larger_and_brighter_galaxies_have_larger_flux_errors() -> None:
    flux = np.array([[10.0] * 5, [10.0] * 5, [100.0] * 5])
    errors = flux_error(flux, np.array([1.0, 3.0, 3.0]))
    assert (np.diff(errors, axis=0) > 0).all()
