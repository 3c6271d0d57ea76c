"""Files whose pixels and magnitudes disagree are refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray
from safetensors.numpy import load_file
from typer.testing import CliRunner

from cosmic.data.native import write_partition
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.pack import pack
from cosmic.data.synth.dataset import Sample, rows
from cosmic.errors import InvalidInput, Problem
from cosmic_cli.commands.data import app

Columns = dict[str, NDArray[Any]]
Spoil = Callable[[NDArray[Any]], NDArray[Any]]
SPOILED: dict[str, tuple[Spoil, str]] = {
    "a hundredth": (lambda image: image / 100, "--image-scale 100"),
    "hundredfold": (lambda image: image * 100, "--image-scale 0.01"),
    "reversed": (lambda image: image[:, ::-1], "z, i, r, g, u in turn"),
    "empty": (np.zeros_like, "hold no light"),
    "adu": (
        lambda image: image * np.array([110, 230, 210, 160, 35], "f4")[:, None, None],
        "counts (adu)",
    ),
}


@pytest.fixture(scope="module")
def galaxies() -> Columns:
    return rows(Sample("catalog", None), 0, 64)


def save(path: Path, columns: Columns) -> Path:
    match path.suffix:
        case ".npz":
            arrays: dict[str, Any] = dict(columns)
            np.savez(path, **arrays)
        case ".safetensors":
            write_partition(path, columns)
        case ".h5":
            with h5py.File(path, "w") as file:
                for name, column in columns.items():
                    file[name] = column
        case _:
            fits.BinTableHDU(Table(columns)).writeto(path)
    return path


def problems_of(files: list[Path], out: Path, choices: Choices | None = None) -> list[Problem]:
    with pytest.raises(InvalidInput) as caught:
        pack(files, out, choices or Choices(), partition_bytes=1 << 20)
    assert sorted(out.parent.iterdir()) == sorted(files)
    return caught.value.problems


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.h5", "a.fits"])
@pytest.mark.parametrize("how", SPOILED)
def test_a_file_is_refused_with_the_likely_cause(
    name: str, how: str, galaxies: Columns, tmp_path: Path
) -> None:
    spoil, cause = SPOILED[how]
    path = save(tmp_path / name, {**galaxies, "image": spoil(galaxies["image"])})
    (problem,) = problems_of([path], tmp_path / "out")
    assert (problem.code, problem.pointer) == ("pixels-disagree", str(path))
    assert cause in str(problem)
    assert "--unchecked-pixels" in problem.hint
    assert set(problem.value) == set("ugriz")


def test_all_such_files_are_named_at_once(galaxies: Columns, tmp_path: Path) -> None:
    files = [
        save(tmp_path / f"{i}.npz", {**galaxies, "image": galaxies["image"] * np.float32(factor)})
        for i, factor in enumerate((100, 1, 0.01))
    ]
    found = problems_of(files, tmp_path / "out")
    assert [Path(p.pointer).name for p in found] == ["0.npz", "2.npz"]


def test_small_files_are_judged_together(galaxies: Columns, tmp_path: Path) -> None:
    files = [
        save(
            tmp_path / f"{i}.npz",
            {n: c[2 * i : 2 * i + 2] * (100 if n == "image" else 1) for n, c in galaxies.items()},
        )
        for i in range(8)
    ]
    (problem,) = problems_of(files, tmp_path / "out")
    assert "times as bright" in problem.message


def test_the_scale_that_is_advised_mends_it(galaxies: Columns, tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", {**galaxies, "image": galaxies["image"] * np.float32(100)})
    out = tmp_path / "out"
    pack([path], out, Choices(image_scale=0.01), partition_bytes=8 << 20)
    found = load_file(out / "0.safetensors")["image"]
    np.testing.assert_allclose(found, galaxies["image"], rtol=1e-6)


def test_who_knows_better_goes_on_and_is_told(galaxies: Columns, tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", {**galaxies, "image": galaxies["image"] * np.float32(100)})
    words = ["pack", str(path), "--out", str(tmp_path / "out"), "--unchecked-pixels", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "times as bright as the magnitudes say" in done.stderr
    photometry = json.loads(done.stdout)["sources"][0]["photometry"]
    assert photometry["verdict"] == "unit"
    assert 80 < photometry["factor"] < 100


def test_inspect_shows_the_ratios_and_the_verdict(galaxies: Columns, tmp_path: Path) -> None:
    right = save(tmp_path / "a.safetensors", galaxies)
    wrong = save(tmp_path / "b.npz", {**galaxies, "image": galaxies["image"][:, ::-1]})
    done = CliRunner().invoke(app, ["inspect", str(right), str(wrong), "--json"])
    first, second = (f["photometry"] for f in json.loads(done.stdout)["files"])
    assert (first["verdict"], second["verdict"]) == ("ok", "bands")
    assert second["order"] == list("zirgu")
    assert all(0.7 < band["ratio"] < 1.1 for band in first["bands"].values())
    text = CliRunner().invoke(app, ["inspect", str(right), str(wrong)]).stdout
    assert "(64 rows): they agree" in text
    assert "(64 rows): they disagree" in text
    assert "z, i, r, g, u in turn" in text
