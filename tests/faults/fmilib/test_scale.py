"""Many ranks on one machine, each with no more descriptors than a Lambda function has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RANKS = 128
ROOT = Path(__file__).parents[3]


def test_many_ranks_form_and_reduce_twice_in_a_row() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.fmi.scale", "--ranks", str(RANKS), "--times", "2"],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(f"{RANKS} of {RANKS} ranks") == 2, ran.stdout
