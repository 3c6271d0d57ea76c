"""What pixels beside magnitudes say of a data set, and what they leave open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy import units as u
from numpy.typing import NDArray

from cosmic.data.photometry_check import Comparison, flux_of, judge, mismatched
from cosmic.data.synth.dataset import Sample, rows
from cosmic.data.synth.instrument import asinh_magnitude

Galaxies = tuple[NDArray[Any], NDArray[Any]]


@pytest.fixture(scope="module")
def galaxies() -> Galaxies:
    columns = rows(Sample("legacy", 128), 0, 128)
    return columns["image"], columns["mag"]


def verdict(image: NDArray[Any], mag: NDArray[Any]) -> str:
    return judge(Comparison.of(image, mag)).verdict


def test_fluxes_are_those_of_ab_magnitudes() -> None:
    mag = np.array([[14.0, 17.77, 20.0, 22.5, 30.0]], np.float32)
    expected = (mag * u.ABmag).to_value(u.uJy) / 3.6307805  # microjanskys of a nanomaggy
    np.testing.assert_allclose(flux_of(mag), expected, rtol=1e-5)


def test_fluxes_of_bright_asinh_magnitudes_are_right_and_missing_ones_none() -> None:
    flux = np.full((1, 5), 20.0)
    mag, _ = asinh_magnitude(flux, flux)
    np.testing.assert_allclose(flux_of(mag), flux, rtol=0.01)
    assert np.isnan(flux_of(np.array([np.nan, -9999, 99.999, np.inf, 1e20]))).all()


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_the_right_unit_passes_also_at_other_sizes(factor: float, galaxies: Galaxies) -> None:
    image, mag = galaxies
    assert verdict(image * np.float32(factor), mag) == "ok"
    assert verdict(image[:, :, 8:24, 8:24], mag) == "ok"
    padded = np.pad(image, ((0, 0), (0, 0), (40, 41), (40, 41)))
    assert verdict(padded, mag) == "ok"


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (0.01, "100 nanomaggies: pack them with --image-scale 100"),
        (100, "hundredths of a nanomaggy: pack them with --image-scale 0.01"),
        (3.631, "microjansky: pack them with --image-scale 0.2754"),
        (3631, "nanojansky: pack them with --image-scale 0.0002754"),
        (1e-9, "maggies: pack them with --image-scale 1e+09"),
        (200, "counts (adu) or another unit, with zero point 28.2"),
    ],
)
def test_the_likely_unit_is_named(factor: float, words: str, galaxies: Galaxies) -> None:
    image, mag = galaxies
    found = judge(Comparison.of(image * np.float32(factor), mag))
    assert found.verdict == "unit"
    assert words in found.hint


def test_counts_of_an_uncalibrated_image_are_refused(galaxies: Galaxies) -> None:
    image, mag = galaxies
    gain = np.array([110, 230, 210, 160, 35], np.float32)[:, None, None]
    found = judge(Comparison.of(image * gain, mag))
    assert found.verdict == "scales"
    assert "counts (adu)" in found.hint


def test_a_sky_that_is_not_subtracted_is_refused(galaxies: Galaxies) -> None:
    found = judge(Comparison.of(galaxies[0] + 1, galaxies[1]))
    assert found.verdict == "scales"
    assert "sky" in found.hint


def test_images_without_light_are_refused(galaxies: Galaxies) -> None:
    image, mag = galaxies
    noise = np.random.default_rng(0).normal(0, 0.05, image.shape).astype(np.float32)
    for dark in (np.zeros_like(image), noise):
        found = judge(Comparison.of(dark, mag))
        assert found.verdict == "no-signal"
    one = image.copy()
    one[:, 2] = 0
    found = judge(Comparison.of(one, mag))
    assert (found.verdict, [band for band, b in found.bands.items() if b.dark]) == (
        "no-signal",
        ["r"],
    )


def test_images_of_other_objects_are_refused(galaxies: Galaxies) -> None:
    image, mag = galaxies
    assert verdict(np.roll(image, 1, axis=0), mag) == "rows"


@pytest.mark.parametrize("objects", [0, 1, 4])
def test_a_few_objects_tell_nothing(objects: int, galaxies: Galaxies) -> None:
    image, mag = galaxies
    assert verdict(image[:objects] * 100, mag[:objects]) == "too-few"


def test_dust_that_is_corrected_for_in_the_magnitudes_alone_passes(galaxies: Galaxies) -> None:
    """E(B-V) = 0.3, more than almost all of the sky that surveys look at."""
    image, mag = galaxies
    extinction = np.array([4.24, 3.30, 2.29, 1.70, 1.26]) * 0.3
    reddened = image * (10 ** (-0.4 * extinction)).astype(np.float32)[:, None, None]
    assert verdict(reddened, mag) == "ok"
    assert not mismatched(reddened, mag).any()


@pytest.mark.parametrize("objects", [5, 16, 128])
def test_neighbours_and_a_poor_sky_pass(objects: int, galaxies: Galaxies) -> None:
    image, mag = galaxies
    draw = np.random.default_rng(3)
    beside = np.roll(image[draw.permutation(len(image))], (9, -7), axis=(2, 3))
    beside[draw.random(len(image)) < 0.5] = 0
    sky = draw.normal(0, 0.02, (*mag.shape, 1, 1)).astype(np.float32)
    assert verdict((image + beside + sky)[:objects], mag[:objects]) == "ok"


def test_what_is_missing_is_left_out(galaxies: Galaxies) -> None:
    image, mag = galaxies[0].copy(), galaxies[1].copy()
    mag[::2, 1] = -9999
    image[1::3] = np.nan
    image[2::3, :, 10:20, 10:20] = np.inf  # saturated
    image[:, :, :2, :2] = np.nan
    found = judge(Comparison.of(image, mag))
    assert found.verdict == "ok"
    assert found.bands["g"].objects < found.bands["r"].objects == 43
    assert not mismatched(image, mag).any()
    mag[:] = np.nan
    assert verdict(image, mag) == "too-few"


def test_objects_that_are_lost_in_the_noise_tell_nothing(galaxies: Galaxies) -> None:
    """Also where some neighbour is brighter than they are."""
    image, mag = galaxies[0] * np.float32(1e-3), galaxies[1] + 7.5
    noise = np.random.default_rng(0).normal(0, 1, image.shape).astype(np.float32)
    image += noise
    image[:20, :, 3, 3] += 1000
    assert verdict(image, mag.astype(np.float32)) == "too-few"
    assert not mismatched(image[20:], mag[20:].astype(np.float32)).any()


def test_blank_bands_and_lost_images_are_no_mismatch(galaxies: Galaxies) -> None:
    image, mag = galaxies[0].copy(), galaxies[1]
    image[0] = 0
    image[1, 2] = 0
    image[2] = np.nan
    assert not mismatched(image, mag).any()
    assert mismatched(image[3:, ::-1], mag[3:]).mean() > 0.9
