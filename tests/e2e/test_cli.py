"""The `cosmic` command as people type it: output, exit codes, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from process_support.only_installed import hide_all_but

ROOT = Path(__file__).parents[2]
COSMIC = Path(sys.executable).with_name("cosmic")
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run the command in a folder of the test's own."""

    def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COSMIC, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="module")
def local_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stack that `cosmic local up` started; its state folder."""
    state = tmp_path_factory.mktemp("state")
    template = str(ROOT / "template.yaml")
    subprocess.run(
        [COSMIC, "local", "up", "--template", template, "--state-dir", str(state)],
        check=True,
        timeout=60,
    )
    yield state
    subprocess.run([COSMIC, "local", "down", "--state-dir", str(state)], check=True, timeout=60)
    assert not processes_with(str(state))


def processes_with(text: str) -> list[psutil.Process]:
    """Processes whose command line has this text, but for this one."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and any(text in word for word in words):
            found.append(process)
    return found


def manifest(path: Path, **changes: Any) -> str:
    document = {
        "version": 1,
        "job": "cli",
        "model": {"uri": "s3://cosmic-data-123456789012/models/none"},
        "data": {"uri": "s3://cosmic-data-123456789012/none/"},
        **changes,
    }
    path.write_text(json.dumps(document))
    return str(path)


def test_the_demo_does_the_whole_job_with_what_the_command_requires(
    cli: Cli, tmp_path: Path
) -> None:
    """Neither torch nor what tests and documents is needed, nor any extra."""
    (tmp_path / "site").mkdir()
    alone = {**os.environ, **hide_all_but("cosmic-cli", tmp_path / "site")}
    done = cli(
        "demo", "--root", str(ROOT), "--objects", "300", "--world-size", "2", "--json", env=alone
    )
    assert done.returncode == 0, done.stderr
    trained = cli("model", "train", "--out", "model", env=alone)
    assert trained.returncode == 2
    assert "pip install 'cosmic[train]'" in trained.stderr
    document = json.loads(done.stdout)
    assert document["status"]["state"] == "SUCCEEDED"
    assert document["status"]["fmi"] == "ok"
    assert document["metrics"]["photo_z"]["n"] == 300
    (place,) = (tmp_path / "cosmic-demo").iterdir()
    assert pq.read_table(place / "catalogue.parquet").num_rows == 300
    assert {p.name for p in place.iterdir()} >= {"catalogue.fits", "metrics.json", "status.json"}


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        [COSMIC, "demo", "--root", ROOT],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if "dropping" in line:
                break
        assert list(scratch.iterdir())
        family = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert family
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert list(scratch.iterdir()) == []


def test_validate_says_everything_that_is_wrong(cli: Cli, tmp_path: Path) -> None:
    good = cli("validate", manifest(tmp_path / "good.json"))
    assert good.returncode == 0
    bad = cli("validate", manifest(tmp_path / "bad.json", version=3, job="No Way"))
    assert bad.returncode == 2
    assert "bad-version: /version: version 3 is unknown (use 1)" in bad.stderr
    assert "/job" in bad.stderr


def test_a_bad_manifest_is_not_even_sent(cli: Cli, tmp_path: Path, local_up: Path) -> None:
    bad = manifest(tmp_path / "bad.json", output={"prefix": "manifests/x/"})
    done = cli("submit", bad, "--local", "--state-dir", str(local_up))
    assert done.returncode == 2
    assert "/output/prefix" in done.stderr


def test_a_rejected_run_is_exit_code_2(cli: Cli, tmp_path: Path, local_up: Path) -> None:
    words = ("--local", "--state-dir", str(local_up))
    done = cli("submit", manifest(tmp_path / "m.json"), "--wait", "--json", *words)
    assert done.returncode == 2
    status = json.loads(done.stdout)
    assert {p["pointer"] for p in status["problems"]} == {"/model/uri", "/data/uri"}
    again = cli("status", status["run"], *words)
    assert again.returncode == 2
    assert "no-partitions" in again.stdout


def test_what_is_not_there_is_exit_code_4(cli: Cli, local_up: Path) -> None:
    words = ("--local", "--state-dir", str(local_up))
    assert cli("status", "none-0123456789ab", *words).returncode == 4
    assert cli("submit", "no-such-file.json", *words).returncode == 4


def test_no_stack_is_said_in_one_line(cli: Cli, tmp_path: Path) -> None:
    done = cli("status", "x", "--local", "--state-dir", str(tmp_path / "none"))
    assert done.returncode == 4
    assert len(done.stderr.strip().splitlines()) == 1
