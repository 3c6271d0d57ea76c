"""`cosmic` that is interrupted, or finds the disk full: a clear end, and nothing is left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """
import os, sys

module, number, *words = sys.argv[1:]

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, AtImport())
from cosmic_cli.main import run
sys.argv = ["cosmic", *words]
run()
"""
STATUS = ("status", "demo-0123456789ab", "--local", "--state-dir", "none")
SYNTH = ("data", "synth", "--objects", "8", "--out", "new")


def interrupted(
    place: Path, module: str, number: signal.Signals, *words: str
) -> subprocess.CompletedProcess[str]:
    """A command that gets a signal as it begins to import a module."""
    temporary = place / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-c", INTERRUPTED, module, str(int(number)), *words]
    environment = {"PATH": "/usr/bin", "TMPDIR": str(temporary), "HOME": str(place)}
    done = subprocess.run(
        command, env=environment, cwd=place, capture_output=True, text=True, check=False
    )
    assert list(temporary.iterdir()) == []
    return done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("typer", STATUS),
        ("rich.console", STATUS),
        ("cosmic.errors", STATUS),
        ("botocore.client", STATUS),
        ("numpy", SYNTH),
        ("pyarrow.lib", SYNTH),
        ("cosmic.data.synth.dataset", SYNTH),
    ],
)
def test_while_modules_load(
    tmp_path: Path, module: str, words: tuple[str, ...], number: signal.Signals
) -> None:
    done = interrupted(tmp_path, module, number, *words)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines() == ["interrupted: stopped by you"]


def test_in_json(tmp_path: Path) -> None:
    done = interrupted(tmp_path, "typer", signal.SIGTERM, *STATUS, "--json")
    assert done.returncode == 130
    assert json.loads(done.stderr)["error"]["code"] == "interrupted"


def test_a_full_disk_under_the_output() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from cosmic_cli.main import run; run()", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("disk-full: No space left on device")


SMALL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from cosmic_cli.main import run
sys.argv = ["cosmic", *sys.argv[1:]]
run()
"""


def test_a_full_disk_under_the_results(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", SMALL, *SYNTH],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "disk-full" in done.stderr
