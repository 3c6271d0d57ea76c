"""Two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cosmic.errors import InputError
from cosmic.results.compare import compare, read_metrics
from cosmic_cli.program import application


def metrics(sigma: float, **more: Any) -> dict[str, Any]:
    photo_z = {
        "n": 90,
        "sigma_nmad": sigma,
        "r2": None,
        "pasquet": {"bias_mean": 0.001, "outliers_0.05": 0.02, "outliers_0.15": 0.0},
        "rail": {"bias_median": -0.002},
    }
    return {
        "photo_z": photo_z,
        "run": {"rows": 100, "wall_s": 20.0, "world_size": 4},
        "bill": {"usd": 0.5, "usd_per_million_rows": 5000.0},
        "flags": {"MISSING_BAND": 3},
        **more,
    }


def test_differences_are_the_second_less_the_first() -> None:
    second = metrics(0.015, flags={"MISSING_BAND": 1}, pz={"known": 0, "n": 0})
    found = {c.name: c for c in compare(metrics(0.02), second)}
    sigma = found["sigma_nmad"]
    assert (sigma.first, sigma.second) == (0.02, 0.015)
    assert sigma.difference == pytest.approx(-0.005)
    assert found["flag MISSING_BAND"].difference == -2
    assert found["duration"].unit == "s"
    for name in ("r2", "coverage_68", "flag BAD_PIXELS"):
        assert found[name].difference is None


def test_runs_of_this_machine_are_compared_without_a_deployment(tmp_path: Path) -> None:
    for name, sigma in (("a", 0.02), ("b", 0.03)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics(sigma)))
    asked = ["compare", str(tmp_path / "a"), str(tmp_path / "b" / "metrics.json")]
    result = CliRunner().invoke(application("compare"), [*asked, "--json"])
    assert result.exit_code == 0, result.output
    figures = {f["name"]: f for f in json.loads(result.stdout)["figures"]}
    assert figures["sigma_nmad"]["difference"] == pytest.approx(0.01)
    shown = CliRunner().invoke(application("compare"), asked)
    assert shown.exit_code == 0
    assert "sigma_nmad" in shown.stdout


@pytest.mark.parametrize("text", ["[]", "{}", "no JSON"])
def test_what_is_no_metrics_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(InputError, match="metrics"):
        read_metrics(tmp_path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_metrics(tmp_path)
