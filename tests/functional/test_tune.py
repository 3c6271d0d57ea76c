"""`cosmic tune` as people type it: measuring here, reading a run, JSON, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cosmic.data.native import write_partition

ROOT = Path(__file__).parents[2]
COSMIC = Path(sys.executable).with_name("cosmic")
Columns = dict[str, Any]


def tune(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COSMIC, "tune", *words], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a real calibration on this machine printed."""
    done = tune("--rows", "5000", "--json")
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("tune") / "answer.json"
    path.write_text(done.stdout)
    return path


def test_what_was_measured_and_what_is_modelled_are_apart(answer: Path) -> None:
    found = json.loads(answer.read_text())
    measured, modelled = found["measured"], found["modelled"]
    assert set(measured["rows_per_s"]) == {"32", "64", "128", "256", "512"}
    assert min(measured["rows_per_s"].values()) > 0
    assert measured["init_s"] > 0
    assert measured["peak_memory_mb"] > 100
    assert set(modelled["recommended"]) == {"fastest", "cheapest", "best_value"}
    for chosen in modelled["recommended"].values():
        assert chosen["usd"] == chosen["bill"]["usd"]
        assert chosen["needs_mb"] <= chosen["memory_mb"]


def test_an_earlier_answer_is_enough_for_another_job(answer: Path) -> None:
    done = tune("--from", answer, "--rows", "200000", "--max-memory", "1769", "--json")
    found = json.loads(done.stdout)
    assert found["job"]["rows"] == 200_000
    assert found["measured"] == json.loads(answer.read_text())["measured"]
    assert all(p["memory_mb"] <= 1769 for p in found["modelled"]["curve"])


def test_partitions_on_this_machine_are_counted(
    answer: Path, tmp_path: Path, make_columns: Callable[..., Columns]
) -> None:
    for name, rows in (("0", 30), ("1", 20)):
        write_partition(tmp_path / f"{name}.safetensors", make_columns(rows))
    found = json.loads(tune("--from", answer, "--data", tmp_path, "--json").stdout)
    assert found["job"]["rows"] == 50
    assert {p["partition_rows"] for p in found["modelled"]["curve"]} == {30}


def test_people_see_both_tables_and_the_curve(answer: Path) -> None:
    shown = tune("--from", answer).stdout
    for text in ("Measured", "Modelled for AWS Lambda", "fastest", "cheapest", "best value"):
        assert text in shown


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--rows", "5", "--data", "."], 2, "give one"),
        (["--from", "{answer}", "--deadline", "0.5"], 2, "over 0.5 s"),
        (["--from", "missing.json"], 4, "missing.json"),
        (["--from", "pyproject.toml"], 2, "not JSON"),
        (["--from", "events/s3-put.json"], 2, "/run"),
        (["--rows", "5", "--model", "nowhere.safetensors"], 4, "nowhere.safetensors"),
        ([], 2, "--rows"),
    ],
)
def test_what_cannot_be_done_says_why(answer: Path, words: list[str], code: int, said: str) -> None:
    done = tune(*(w.replace("{answer}", str(answer)) for w in words))
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
