"""Names and texts from elsewhere are shown on a terminal, never obeyed by it."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import BarColumn, Progress
from rich.table import Table

from cosmic.errors import InputError, InvalidInput, Problem
from cosmic_cli.exit_codes import report, show_json
from cosmic_cli.printable import TURNING, PrintableConsole, printable

HOSTILE = "a\x1b]0;title\x07\x1b[2Jb\x08\x9b31m\u202ec\x7f"
SHOWN = r"a\x1b]0;title\x1b[2Jb\x9b31m\u202ec\x7f"  # rich drops bells and backspaces


def obeyed(text: str) -> set[str]:
    """Characters that a terminal would obey."""
    return {
        c for c in text if (c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0" or c in TURNING
    }


@given(st.text())
def test_no_text_is_obeyed(text: str) -> None:
    shown = printable(text)
    assert not obeyed(shown)
    if not obeyed(text):
        assert shown == text


@pytest.mark.parametrize("terminal", [True, False])
def test_whatever_is_printed(terminal: bool) -> None:
    console = PrintableConsole(width=200)
    console.file = io.StringIO()
    console._force_terminal = terminal
    table = Table("name")
    table.add_row(HOSTILE)
    for printed in (HOSTILE, table):
        console.print(printed, markup=False, soft_wrap=True)
    with Progress(BarColumn(), "{task.description}", console=console) as bar:
        bar.add_task(HOSTILE, total=1)
    said = console.file.getvalue()
    assert ("\x1b[" in said) == terminal, "rich's own are obeyed"
    assert SHOWN in said
    assert "\x1b]0;" not in said
    assert "\x1b[2J" not in said
    assert not obeyed(said) - {"\x1b", "\r"}


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    report(InputError(HOSTILE, code="odd", hint=HOSTILE))
    report(InvalidInput([Problem(HOSTILE, HOSTILE, None, HOSTILE)]))
    report(InputError(HOSTILE), as_json=True)
    said = capsys.readouterr().err
    assert not obeyed(said)
    assert SHOWN in said


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({HOSTILE: HOSTILE})
    said = capsys.readouterr().out
    assert not obeyed(said)
    assert json.loads(said) == {HOSTILE: HOSTILE}
