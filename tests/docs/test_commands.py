"""Every command in the documentation runs as written, or says why it is not run here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs_support.pages import PAGES, REASONS, ROOT, blocks, commands, name

RUN = [page for page in PAGES if commands(page)]
COSMIC = Path(sys.executable).with_name("cosmic")
GIT, BASH = (shutil.which(name) or name for name in ("git", "bash"))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the project, as a clone has it once its environment is made."""
    listed = subprocess.run(
        [GIT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for path in filter(None, listed.split("\0")):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    yield tmp_path
    subprocess.run([COSMIC, "local", "down"], cwd=tmp_path, check=False, capture_output=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", RUN, ids=name)
def test_commands_run_as_written(page: Path, checkout: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [BASH, "-euo", "pipefail", "-c", commands(page)],
        cwd=checkout,
        env={**os.environ, "PATH": path, "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_not_run_says_why(page: Path) -> None:
    for block in blocks(page):
        assert block.language, f"a block without a language: {block.body[:60]!r}"
        assert block.reason is None or block.reason in REASONS, block.reason


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_fence_is_overlooked(page: Path) -> None:
    fences = sum(line.startswith("```") for line in page.read_text().splitlines())
    assert fences == 2 * len(blocks(page))
