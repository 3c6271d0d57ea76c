"""Scratch folders: removed at the end, and if that never came, at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cosmic.storage.scratch import PREFIX, scratch_folder, sweep


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for a function's `/tmp`."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def left_by(tmp: Path, pid: int) -> Path:
    folder = tmp / f"{PREFIX}{pid}-x"
    folder.mkdir()
    (folder / "shard.npy").write_bytes(b"x")
    return folder


@pytest.fixture(scope="module")
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_is_gone_after_its_block(tmp: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == tmp
        (folder / "file").write_bytes(b"x")
    assert not folder.exists()


def test_what_a_killed_process_left_is_gone_at_the_next_start(tmp: Path, ended: int) -> None:
    """The next process of an environment may have the number of the one before."""
    left = [left_by(tmp, ended), left_by(tmp, os.getpid())]
    assert sweep() == len(left)
    assert not any(folder.exists() for folder in left)


def test_what_others_use_is_kept(tmp: Path) -> None:
    living, foreign = left_by(tmp, os.getppid()), tmp / "somebody-elses"
    foreign.mkdir()
    assert sweep() == 0
    assert living.exists()
    assert foreign.exists()
