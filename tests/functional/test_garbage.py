"""The command's process looks for reference cycles seldom, and not when it ends."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import atexit, gc, sys
import cosmic_cli.main as main

def report():
    print(gc.get_threshold()[0], gc.get_freeze_count() > 1000, flush=True)

atexit.register(report)
sys.argv = ["cosmic", "--version"]
main.run()
"""


def test_cycles_are_looked_for_seldom_and_not_at_the_end() -> None:
    command = [sys.executable, "-c", PROGRAM]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    threshold, frozen = said.stdout.splitlines()[-1].split()
    assert int(threshold) >= 10_000
    assert frozen == "True"
