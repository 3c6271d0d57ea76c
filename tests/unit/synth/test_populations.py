"""The galaxies: real ones told apart for ever, drawn ones inside the survey's limits."""

from __future__ import annotations

import numpy as np
import pytest

from cosmic.data.synth import cosmology
from cosmic.data.synth.dataset import Sample, rows
from cosmic.data.synth.populations import LUMINOUS_RED, MAIN, draw_sky, real_galaxies
from cosmic.data.synth.split import held_out
from cosmic.data.synth.tables import galaxies, template_fluxes


def test_training_and_test_galaxies_are_disjoint_and_make_up_all() -> None:
    train, test = (set(real_galaxies(s).object_id.tolist()) for s in ("train", "test"))
    assert not train & test
    assert train | test == set(galaxies().object_id.tolist())
    assert 0.18 < len(test) / len(galaxies()) < 0.22


def test_the_split_depends_on_the_id_alone_and_never_changes() -> None:
    ids = np.arange(10**18, 10**18 + 20)
    assert np.flatnonzero(held_out(ids)).tolist() == [3, 4]
    np.testing.assert_array_equal(held_out(ids[::-1]), held_out(ids)[::-1])


def test_real_ids_are_unique_and_would_break_in_a_float() -> None:
    ids = galaxies().object_id
    assert len(np.unique(ids)) == len(ids) == 9963
    assert (ids.astype(np.float64).astype(np.int64) != ids).any()
    ra = ids // 10**9 % 10**9 / 1e6
    np.testing.assert_allclose(ra, galaxies().ra, atol=1e-6)


def test_fitted_templates_give_the_fluxes_measured() -> None:
    real = galaxies()
    model = template_fluxes().model(real.coefficients, real.z_spec)
    off = np.abs(2.5 * np.log10(model / real.flux))
    assert (real.coefficients >= 0).all()
    assert (np.median(off, axis=0) < [0.06, 0.02, 0.02, 0.02, 0.02]).all()


def test_the_catalog_is_the_real_thing() -> None:
    sample = Sample("catalog", 300)
    columns = rows(sample, 0, 300)
    real = real_galaxies("test").take(np.arange(300))
    np.testing.assert_array_equal(columns["object_id"], real.object_id)
    np.testing.assert_array_equal(columns["ra"], real.ra)
    np.testing.assert_allclose(columns["z_spec"], real.z_spec, rtol=1e-6)
    np.testing.assert_allclose(columns["mag"], 22.5 - 2.5 * np.log10(real.flux), atol=0.05)


@pytest.mark.parametrize("population", ["mock", "legacy"])
def test_drawn_galaxies_stay_inside_the_limits(population: str) -> None:
    sample = Sample(population, 4096)  # type: ignore[arg-type]
    columns = rows(Sample(population, 4096, image_size=1), 0, 4096)  # type: ignore[arg-type]
    z, r = columns["z_spec"], columns["mag"][:, 2]
    faintest = LUMINOUS_RED if population == "legacy" else MAIN
    assert z.min() >= MAIN.z_min - 1e-6
    assert z.max() <= faintest.z_max + 1e-6
    assert np.quantile(r, 0.99) < faintest.r_max + 0.05
    assert len(np.unique(columns["object_id"])) == len(sample)


def test_legacy_reaches_further_than_the_main_sample() -> None:
    spread = {
        p: draw_sky(p, "all", 8192, np.random.default_rng(0)).z.std() for p in ("mock", "legacy")
    }
    assert spread["mock"] < 0.06
    assert 0.09 < spread["legacy"] < 0.115


def test_training_mocks_come_from_training_galaxies_alone() -> None:
    """A drawn galaxy keeps the rest-frame colour of the real one it was made of."""
    sky = draw_sky("mock", "train", 512, np.random.default_rng(1))
    colours = {s: _rest_colours(s) for s in ("train", "test")}
    assert np.isin(sky.rest_g_r, colours["train"]).all()
    assert np.isin(sky.rest_g_r, colours["test"]).mean() < 0.01


def _rest_colours(split: str) -> np.ndarray:
    real = real_galaxies(split)  # type: ignore[arg-type]
    rest = template_fluxes().model(real.coefficients, np.zeros(len(real)))
    absolute = 22.5 - 2.5 * np.log10(rest) - cosmology.distance_modulus(real.z_spec)[:, None]
    return absolute[:, 1] - absolute[:, 2]


@pytest.mark.parametrize(("z", "mpc"), [(0.1, 460.3), (0.3, 1552.8)], ids=["near", "far"])
def test_luminosity_distances_are_those_of_the_usual_calculators(z: float, mpc: float) -> None:
    np.testing.assert_allclose(cosmology.luminosity_distance(np.array(z)), mpc, rtol=2e-3)


def test_a_distance_gives_back_its_redshift() -> None:
    z = np.linspace(0.0, 0.9, 50)
    np.testing.assert_allclose(cosmology.redshift_at(cosmology.comoving_distance(z)), z, atol=1e-9)
