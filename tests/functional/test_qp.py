"""A catalogue's p(z) in qp's hands; qp itself is a large extra, so most of it runs where it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmic.contracts.catalogue_columns import catalogue_rows
from cosmic.contracts.catalogue_schema import table_of
from cosmic.contracts.quantiles import QUANTILES
from cosmic.errors import InputError
from cosmic.metrics.pz import Pieces
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.qp_ensemble import write_qp
from cosmic.storage.local import LocalOutput

ROWS = 40


@pytest.fixture
def catalogue(tmp_path: Path, make_columns: Callable[..., dict[str, np.ndarray]]) -> Path:
    """A catalogue whose fourth object has no prediction."""
    z = np.linspace(0.05, 0.4, ROWS, dtype=np.float32)
    z[3] = np.nan
    quantiles = z[:, None] + np.linspace(-0.04, 0.05, len(QUANTILES), dtype=np.float32)
    flags = np.zeros(ROWS, np.int32)
    made = (z, np.full_like(z, 0.01), quantiles, flags)
    rows = catalogue_rows(make_columns(ROWS), *made, partition=0, start=0)
    path = tmp_path / "catalogue.parquet"
    with (
        LocalOutput(path) as parquet,
        LocalOutput(tmp_path / "catalogue.fits") as fits,
        CatalogueWriter(parquet, fits, {}) as writer,
    ):
        writer.write(table_of(rows))
        writer.finish({})
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".fits"])
def test_qp_opens_the_quantiles_and_the_ancillary_data(
    catalogue: Path, tmp_path: Path, suffix: str
) -> None:
    qp: Any = pytest.importorskip("qp")
    out = tmp_path / "pz.hdf5"
    assert write_qp(catalogue.with_suffix(suffix), out) == ROWS - 1
    found = qp.read(str(out))
    assert found.npdf == ROWS - 1
    z = np.delete(np.linspace(0.05, 0.4, ROWS, dtype=np.float32), 3)
    expected = z[:, None] + np.linspace(-0.04, 0.05, len(QUANTILES))
    made = np.squeeze(found.ppf(np.array(list(QUANTILES.values()))))
    np.testing.assert_allclose(made, expected, atol=1e-6)
    np.testing.assert_allclose(found.ancil["z_phot"], z)
    assert sorted(found.ancil) == ["flags", "object_id", "z_phot", "z_spec"]
    knots = Pieces.of(expected).knots
    ends = np.stack([knots[:, 0], knots[:, -1]], axis=1)
    np.testing.assert_allclose(np.squeeze(found.cdf(ends)), [[0, 1]] * (ROWS - 1), atol=1e-5)
    assert sorted(p.name for p in tmp_path.glob("*.hdf5")) == ["pz.hdf5"]


def test_without_qp_it_says_how_to_install_it(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "qp", None)
    with pytest.raises(InputError, match="not installed") as caught:
        write_qp(catalogue, tmp_path / "pz.hdf5")
    assert "cosmic[qp]" in caught.value.hint


def test_another_suffix_is_refused(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "qp", sys)
    with pytest.raises(InputError, match=r"\.hdf5"):
        write_qp(catalogue, tmp_path / "pz.fits")
