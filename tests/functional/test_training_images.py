"""Images that are unlike those of the model's training: refused or said, with the numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from cosmic.api import run_local
from cosmic.contracts.flags import Flag
from cosmic.data.native import write_partition
from cosmic.data.synth.dataset import Sample, rows
from cosmic.errors import InvalidInput

Columns = dict[str, NDArray[Any]]
CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS = 32


@pytest.fixture(scope="module")
def galaxies() -> Columns:
    return rows(Sample("catalog", None), 0, ROWS)


@pytest.fixture
def folder(galaxies: Columns, tmp_path: Path) -> Path:
    """Three partitions of the same galaxies."""
    write_partition(tmp_path / "0.safetensors", galaxies)
    for name in ("1", "2"):
        shutil.copy(tmp_path / "0.safetensors", tmp_path / f"{name}.safetensors")
    return tmp_path


def test_images_that_are_smaller_than_the_model_takes_are_refused(
    galaxies: Columns, folder: Path
) -> None:
    small = {**galaxies, "image": galaxies["image"][:, :, 4:28, 4:28]}
    write_partition(folder / "1.safetensors", small)
    message = r"images of 24 x 24 pixels in .*/1.safetensors, but the model takes 32 x 32"
    with pytest.raises(InvalidInput, match=message) as caught:
        run_local(folder, CHECKPOINT, folder / "out")
    assert [p.code for p in caught.value.problems] == ["images-too-small"]
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("scale", "said"), [(0.262, "1.5 times as large"), (0.396, ""), (0.4, ""), (None, "")]
)
def test_pixels_of_another_scale_are_said(
    scale: float | None, said: str, galaxies: Columns, tmp_path: Path
) -> None:
    path = tmp_path / "0.safetensors"
    write_partition(path, galaxies, pixel_scale_arcsec=scale)
    warnings = run_local(path, CHECKPOINT, tmp_path / "out").warnings
    assert len(warnings) == bool(said)
    assert all(said in text and "pixels of 0.262 arcsec" in text for text in warnings)


WRONG: dict[str, tuple[Callable[[NDArray[Any]], NDArray[Any]], str]] = {
    "unit": (lambda image: image * 100, "--image-scale 0.01"),
    "order": (lambda image: image[:, ::-1], "z, i, r, g, u in turn"),
    "no light": (np.zeros_like, "hold no light"),
}


@pytest.mark.parametrize("how", WRONG)
def test_one_wrong_partition_among_right_ones_is_refused_and_named(
    how: str, galaxies: Columns, folder: Path
) -> None:
    spoil, cause = WRONG[how]
    write_partition(folder / "2.safetensors", {**galaxies, "image": spoil(galaxies["image"])})
    with pytest.raises(InvalidInput, match=r"/2.safetensors: .*; 2 others") as caught:
        run_local(folder, CHECKPOINT, folder / "out")
    assert cause in str(caught.value)


def test_a_factor_that_is_not_refused_is_said(galaxies: Columns, tmp_path: Path) -> None:
    """Magnitudes of fluxes in uJy, taken for nanomaggies, are 1.4 too bright."""
    path = tmp_path / "0.safetensors"
    write_partition(path, {**galaxies, "mag": galaxies["mag"] - np.float32(1.4)})
    (warning,) = run_local(path, CHECKPOINT, tmp_path / "out").warnings
    assert "times fainter than the magnitudes say" in warning
    assert "check the unit of the pixels, and of the fluxes" in warning


def test_a_run_here_says_how_many_objects_are_out_of_domain(
    galaxies: Columns, tmp_path: Path
) -> None:
    odd = galaxies["mag"].copy()
    odd[:8, 2] += 3  # r alone: no galaxy has such colours
    path = tmp_path / "0.safetensors"
    write_partition(path, {**galaxies, "mag": odd})
    ran = run_local(path, CHECKPOINT, tmp_path / "out", pixel_mismatch="warn")
    flags = pq.read_table(ran.parquet)["flags"].to_numpy()
    outside = int(np.count_nonzero(flags & Flag.OUT_OF_DOMAIN))
    assert ran.rows_out_of_domain == outside >= 8
    assert ran.share_out_of_domain == outside / ROWS


def test_a_z_spec_that_can_be_none_is_counted_and_null(galaxies: Columns, tmp_path: Path) -> None:
    z_spec = galaxies["z_spec"].copy()
    z_spec[:4] = (-9, -1, 99, np.nan)
    path = tmp_path / "0.safetensors"
    write_partition(path, {**galaxies, "z_spec": z_spec})
    ran = run_local(path, CHECKPOINT, tmp_path / "out")
    assert pq.read_table(ran.parquet)["z_spec"].null_count == 4
    left_out = {"no_prediction": 0, "no_z_spec": 1, "implausible_z_spec": 3}
    assert ran.metrics["left_out"] == left_out


@pytest.mark.parametrize(
    ("key", "said", "message"),
    [
        ("bands", "zirgu", "has the bands z, i, r, g, u, but the model takes u, g, r, i, z"),
        ("bands", "u-g-r", "'-' is not made of letters"),
        ("bands", "griz", "mag has shape"),
        ("image_unit", "nJy", "its image_unit is 'nJy'"),
    ],
)
def test_a_partition_that_means_something_else_is_refused(
    key: str, said: str, message: str, galaxies: Columns, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    save_file(galaxies, tmp_path / "0.safetensors", metadata={key: said})
    with pytest.raises(InvalidInput, match=message):
        run_local(tmp_path / "0.safetensors", CHECKPOINT, tmp_path / "out")
