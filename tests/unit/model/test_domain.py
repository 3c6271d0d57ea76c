"""The domain of a model: its density against scipy's, and its way through a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from cosmic.contracts.bands import BANDS
from cosmic.contracts.flags import Flag
from cosmic.data.synth.instrument import PIXEL_ARCSEC
from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import ErrorTable, Provenance, load_checkpoint, to_bytes
from cosmic.model.domain import Domain, features, names_of_features, read_domain
from cosmic.model.engine import Engine

K, D = 3, 4
ERRORS = ErrorTable(*(np.array([0.1, 0.2], np.float32) for _ in range(3)))


@pytest.fixture(scope="module")
def domain() -> Domain:
    draw = np.random.default_rng(5)
    whitening = np.tril(draw.normal(0, 0.5, (K, D, D))) + 3 * np.eye(D)
    return Domain(
        np.log(np.array([0.5, 0.3, 0.2], np.float32)),
        draw.normal([17, 0.8, 0.4, 0.3], 0.3, (K, D)).astype(np.float32),
        whitening.astype(np.float32),
        least_log_density=-6.0,
        quantile=0.01,
        magnitudes=(12.0, 19.5),
        redshifts=(0.01, 0.4),
        image_pixels=32,
        pixel_arcsec=PIXEL_ARCSEC,
    )


def magnitudes(n: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(n)
    r = draw.normal(17, 1, n)
    colours = draw.normal([0.8, 0.4, 0.3], 0.3, (n, 3))
    i = r - colours[:, 1]
    return np.stack([r + 2, r + colours[:, 0], r, i, i - colours[:, 2]], axis=1).astype(np.float32)


def test_a_domain_looks_at_r_and_the_colours_of_neighbours_without_u() -> None:
    assert names_of_features(BANDS) == ("r", "g - r", "r - i", "i - z")
    assert names_of_features(("g", "r", "Ks")) == ("r", "g - r", "r - Ks")
    mag = magnitudes(20)
    np.testing.assert_array_equal(features(mag, BANDS), features(mag[:, 1:], BANDS[1:]))


def test_the_density_is_scipys(domain: Domain) -> None:
    mag = magnitudes(200)
    inverse = np.linalg.inv(domain.whitening.astype(np.float64))
    covariances = np.einsum("kji,kjl->kil", inverse, inverse)
    parts = [
        w * multivariate_normal(m, c).pdf(features(mag, BANDS))
        for w, m, c in zip(np.exp(domain.log_weights), domain.means, covariances, strict=True)
    ]
    np.testing.assert_allclose(domain.log_density(mag), np.log(sum(parts)), rtol=1e-5)


def test_it_comes_back_from_a_checkpoint_bit_for_bit(domain: Domain) -> None:
    model, provenance = AstroMAE(PRESETS["tiny"]), Provenance("m", "", 0, 0.0, 1.0)
    found = load_checkpoint(to_bytes(model, provenance, ERRORS, domain)).domain
    assert found is not None
    mag = magnitudes(500)
    np.testing.assert_array_equal(found.log_density(mag), domain.log_density(mag))
    assert found.facts() == domain.facts()
    assert load_checkpoint(to_bytes(model, provenance, ERRORS)).domain is None


def test_each_object_is_judged_alone(domain: Domain) -> None:
    mag = magnitudes(130)
    whole = domain.log_density(mag)
    shuffled = np.random.default_rng(1).permutation(len(mag))
    np.testing.assert_array_equal(domain.log_density(mag[shuffled]), whole[shuffled])
    apart = [domain.log_density(mag[i : i + 7]) for i in range(0, len(mag), 7)]
    np.testing.assert_array_equal(np.concatenate(apart), whole)


@pytest.mark.parametrize("band", range(5))
def test_an_object_that_lacks_a_band_is_not_judged_by_it(domain: Domain, band: int) -> None:
    far = magnitudes(4) + 9
    assert domain.place(far).outside.all()
    far[:, band] = np.nan
    assert domain.place(far).outside.all() == (band == 0)


def test_the_engine_flags_what_lies_outside_and_nothing_else(domain: Domain) -> None:
    model = AstroMAE(PRESETS["tiny"])
    data = to_bytes(model, Provenance("m", "", 0, -50.0, 50.0), ERRORS, domain)
    checkpoint = load_checkpoint(data)
    mag = magnitudes(40)
    mag[20:] += 9
    image = np.ones((40, 5, 32, 32), np.float32)
    made = Engine(checkpoint, 1).predict(image, mag)
    flagged = (made.flags & Flag.OUT_OF_DOMAIN) != 0
    np.testing.assert_array_equal(flagged, domain.place(mag).outside)
    assert flagged[20:].all()
    without = Engine(replace(checkpoint, domain=None), 1).predict(image, mag)
    np.testing.assert_array_equal(without.z_phot, made.z_phot)
    assert not without.flags.any()


@pytest.mark.parametrize(
    ("metadata", "left_out"),
    [
        ({}, None),
        ({"domain": "{}"}, None),
        ({"domain": "[]"}, None),
        ({"domain": "no JSON"}, None),
        (None, "domain.means"),
    ],
)
def test_half_a_domain_is_refused(
    domain: Domain, metadata: dict[str, str] | None, left_out: str | None
) -> None:
    import json

    tensors = {name: array for name, array in domain.tensors().items() if name != left_out}
    found = {"domain": json.dumps(domain.facts())} if metadata is None else metadata
    with pytest.raises(InputError, match="domain can't be read"):
        read_domain(found, tensors, BANDS)
