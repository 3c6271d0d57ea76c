"""A data set in other bands, from pack to catalogue: by its own model, refused by another."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from cosmic import read_catalogue, read_catalogue_pandas, run_local
from cosmic.contracts.bands import BANDS, check_bands
from cosmic.contracts.catalogue_columns import columns_of, row_dtype
from cosmic.data.dataset_index import INDEX_NAME
from cosmic.data.native import write_partition
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.pack import pack
from cosmic.data.synth.dataset import Columns, Sample, rows
from cosmic.data.synth.instrument import SOFTENING, asinh_magnitude
from cosmic.errors import InputError, InvalidInput
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.training.agreement import agreements
from cosmic.model.training.own_sky import OwnRecipe, train_on
from cosmic.results.table import SCHEMA, write_table_rows
from cosmic.workstation.predict import predict
from cosmic.workstation.shipped_model import SHIPPED

GRIZ = ("g", "r", "i", "z")
OBJECTS, SIDE = 600, 16
RECIPE = OwnRecipe(steps=4, batch=16, round_steps=2)
QUANTILES = [name for name in columns_of(GRIZ) if name.startswith("z_q")]


@pytest.fixture(scope="module")
def columns() -> Columns:
    return rows(Sample("legacy", OBJECTS, 4, "train", image_size=SIDE), 0, OBJECTS)


def write_hdf5(path: Path, columns: Columns, bands: tuple[str, ...]) -> Path:
    at = [BANDS.index(band) for band in bands]
    with h5py.File(path, "w") as file:
        file.attrs["pixel_scale"] = 0.396
        file["image"] = columns["image"][:, at]
        file["object_id"], file["redshift"] = columns["object_id"], columns["z_spec"]
        for band, number in zip(bands, at, strict=True):
            file[f"mag_{band}"] = columns["mag"][:, number]
    return path


@pytest.fixture(scope="module")
def packed(columns: Columns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("griz")
    file = write_hdf5(folder / "file.hdf5", columns, GRIZ)
    pack([file], folder / "data", Choices(bands=GRIZ), partition_bytes=2 << 20)
    return folder / "data"


@pytest.fixture(scope="module")
def model(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train_on(packed, folder, "mine", RECIPE)
    return folder / "mine.safetensors"


def test_a_model_of_other_bands_names_them_and_its_catalogue_has_them(
    packed: Path, model: Path, columns: Columns, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(model)
    assert (checkpoint.bands, checkpoint.config.bands) == (GRIZ, 4)
    assert checkpoint.domain is not None
    assert checkpoint.domain.facts()["features"] == ["r", "g - r", "r - i", "i - z"]
    made = predict(packed, tmp_path, model=model, threads=1, page=False)
    table = pq.read_table(made.files["catalogue.parquet"])
    assert table.column_names == list(columns_of(GRIZ))
    assert np.array_equal(table["mag_i"].to_numpy(), columns["mag"][:, 3])
    for name in QUANTILES:
        assert table[name].null_count == table["z_phot"].null_count
    fits = read_catalogue(made.files["catalogue.fits"])
    assert fits.colnames == table.column_names
    assert fits.colnames == list(read_catalogue_pandas(made.files["catalogue.parquet"]))
    found = Table.read(made.files["catalogue.fits"])
    assert sum(found.dtype[n].itemsize for n in found.colnames) == row_dtype(None, GRIZ).itemsize
    write_table_rows(made.files["catalogue.parquet"], "a-run", tmp_path / "rows.parquet")
    rows_of_table = pq.read_table(tmp_path / "rows.parquet")
    assert rows_of_table.schema.equals(SCHEMA)
    assert rows_of_table["mag_u"].null_count == OBJECTS


def test_all_engines_agree_on_a_model_of_other_bands(model: Path) -> None:
    found = agreements(load_checkpoint(model))
    assert all(engine.agrees for engine in found)
    assert {engine.engine for engine in found if engine.installed} >= {"torch", "openvino"}


def test_the_bands_of_the_model_are_taken_of_a_file_that_names_more(
    columns: Columns, packed: Path, model: Path, tmp_path: Path
) -> None:
    some = {name: column[:40] for name, column in columns.items()}
    write_partition(tmp_path / "0.safetensors", some)
    made = predict(tmp_path / "0.safetensors", tmp_path / "z", model=model, threads=1, page=False)
    of_griz = predict(packed, tmp_path / "griz", model=model, threads=1, page=False)
    first, second = (pq.read_table(m.files["catalogue.parquet"]) for m in (made, of_griz))
    assert first["z_q50"].to_pylist() == second["z_q50"].to_pylist()[:40]
    with pytest.raises(InputError, match="the model takes g, r, i, z, not r, i, z"):
        predict(packed, tmp_path / "none", model=model, choices=Choices(bands=("r", "i", "z")))


def test_data_and_model_of_different_bands_are_refused_naming_both(
    packed: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as caught:
        run_local(packed, SHIPPED, tmp_path / "out")
    problem, small = caught.value.problems
    assert small.code == "images-too-small"
    assert (problem.pointer, problem.code) == ("/model/uri", "other-bands")
    assert "has the bands g, r, i, z, but the model takes u, g, r, i, z" in problem.message
    assert "cosmic model train --data" in problem.hint


def test_the_index_says_the_bands(packed: Path) -> None:
    index = json.loads((packed / INDEX_NAME).read_bytes())
    assert [p["bands"] for p in index["partitions"]] == [list(GRIZ)] * len(index["partitions"])


def test_fluxes_of_other_bands_have_the_softening_of_their_band(
    columns: Columns, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    flux = columns["image"][:20].sum(axis=(2, 3)).astype(np.float64)[:, 1:]
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file["image"] = columns["image"][:20, 1:]
        for at, band in enumerate("griz"):
            file[f"flux_{band}"] = flux[:, at]
    packed = pack(
        [tmp_path / "file.hdf5"], tmp_path / "out", Choices(bands=GRIZ), partition_bytes=1 << 20
    )
    mag, _ = asinh_magnitude(flux, flux, SOFTENING[1:])
    np.testing.assert_array_equal(load_file(packed.partitions[0])["mag"], mag)


@pytest.mark.parametrize(
    ("bands", "why"),
    [
        ("grgz", "twice"),
        (("r", "z", "Z"), "twice"),
        ("giz", "r is not among them"),
        ("r", "there are 1 of them"),
        (("r", "g-"), "letters and digits"),
    ],
)
def test_what_can_not_be_bands_is_refused(bands: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_bands(tuple(bands))
    with pytest.raises(InputError, match=why):
        Choices(bands=tuple(bands))
