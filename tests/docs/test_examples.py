"""Every example runs as its README says, and shows what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cosmic import Deployment
from cosmic.data.synth.dataset import Sample, write_dataset

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHOWN = {
    "own_fits_table.py": r"packed 200 rows.*sigma_NMAD 0\.01",
    "hdf5_file.py": r"image <- image_array.*z_phot",
    "train_on_own_redshifts.py": r"48 x 48 pixels in g, r, i, z: sigma_NMAD.*z_q84",
    "fmi_program.py": r"inside the circle, by rank.*pi is about 3\.1[34]",
    "submit_to_aws.py": r"SUCCEEDED: .*/results/mine-[0-9a-f]{12}",
}


def run(name: str, *words: str | Path) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *words],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["own_fits_table.py", "hdf5_file.py", "train_on_own_redshifts.py"])
def test_an_example_shows_what_it_is_about(name: str, tmp_path: Path) -> None:
    shown = run(name, "--out", tmp_path)
    assert re.search(SHOWN[name], shown, re.DOTALL), shown


def test_ranks_talk_without_the_rest_of_cosmic() -> None:
    shown = run("fmi_program.py")
    assert re.search(SHOWN["fmi_program.py"], shown, re.DOTALL), shown


def test_a_submission_goes_to_a_deployment(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", Sample("catalog", 64), 32)
    model = ROOT / "models/tiny/astromae-tiny.safetensors"
    with Deployment.start(ROOT / "template.yaml", tmp_path / "state"):
        shown = run(
            "submit_to_aws.py", tmp_path / "data", model, "--local", tmp_path / "state",
            "--out", tmp_path / "results",
        )  # fmt: skip
    assert re.search(SHOWN["submit_to_aws.py"], shown, re.DOTALL), shown


def test_every_example_is_tried_and_listed() -> None:
    files = {path.name for path in EXAMPLES.glob("*.py")}
    assert files == set(SHOWN)
    assert files == set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
