"""A short campaign of faults against the whole pipeline: nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = ("1", "2", "3")


@pytest.mark.timeout(400)  # it begins no run after a few seconds, but a slow machine ends it late
def test_nothing_is_lost() -> None:
    command = [sys.executable, "-m", "bench.faults", "--seed", *SEEDS, "--seconds", "15"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 3, "of each kind"
    for _, runs, _, *ends in rows:
        assert int(runs) == sum(int(end.rstrip(" |")) for end in ends) > 0
