"""How the page is made: in a process of its own, whose end in any way is told and not raised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cosmic.report.render import make_page, page_here
from report_support.samples import sample


def test_the_page_of_a_document_is_made(tmp_path: Path) -> None:
    made = make_page(sample(2, 300), tmp_path, seconds_left=120)
    assert isinstance(made, Path)
    page = made.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "3 (1.0 %) unlike the training data" in page


def test_without_time_there_is_no_page(tmp_path: Path) -> None:
    assert make_page(sample(1, 100), tmp_path, seconds_left=4.2) == "only 4 s were left for it"
    assert not (tmp_path / "report.html").exists()


def test_a_process_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jinja2.py").write_text("raise ImportError('no page layer')")
    monkeypatch.syspath_prepend(tmp_path)
    made = make_page(sample(1, 100), tmp_path, seconds_left=120)
    assert made == "its process ended with 1: ImportError: no page layer"


def test_a_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jinja2.py").write_text("import signal; signal.pause()")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("cosmic.report.render.SHORTEST_S", 0.1)
    made = make_page(sample(1, 100), tmp_path, seconds_left=1.0)
    assert "timed out" in str(made)


def test_the_page_needs_no_matplotlib() -> None:
    code = "import sys, cosmic.report.page; print({'matplotlib', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_page_is_the_same_whichever_process_makes_it(tmp_path: Path) -> None:
    document = sample(3, 300)
    apart, here = tmp_path / "apart", tmp_path / "here"
    for folder in (apart, here):
        folder.mkdir()
    made = [make_page(document, apart, 120), page_here(document, here, 120)]
    assert made == [apart / "report.html", here / "report.html"]
    assert made[0].read_bytes() == made[1].read_bytes()  # type: ignore[union-attr]


def test_why_this_process_could_not_make_the_page_is_told(tmp_path: Path) -> None:
    assert str(page_here(sample(1, 100), tmp_path / "gone", 120)).startswith("FileNotFoundError: ")
