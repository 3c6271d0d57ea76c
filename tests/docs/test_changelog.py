"""The changelog keeps its form, and all that names a version names the newest of it."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import cosmic
import cosmic_cli
import cosmic_local
import fmilib

ROOT = Path(__file__).parents[2]
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
HEAD = re.compile(r"^## \[(?P<name>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?$")


@dataclass
class Entry:
    """What changed in a version; the date is that of its release."""

    name: str
    date: dt.date | None
    sections: dict[str, list[str]] = field(default_factory=dict)

    def number(self) -> tuple[int, ...]:
        return tuple(map(int, self.name.split(".")))


def _entries(text: str) -> list[Entry]:
    """Read the changelog; a heading or a change in a place that is not its own is an error."""
    found: list[Entry] = []
    for line in text.splitlines():
        if line.startswith("## "):
            head = HEAD.match(line)
            assert head, line
            day = dt.date.fromisoformat(head["date"]) if head["date"] else None
            found.append(Entry(head["name"], day))
        elif line.startswith("### "):
            found[-1].sections[line.removeprefix("### ")] = []
        elif line.startswith("- "):
            list(found[-1].sections.values())[-1].append(line)
    return found


ENTRIES = _entries((ROOT / "CHANGELOG.md").read_text())
UNRELEASED, *RELEASED = ENTRIES


def test_what_is_to_come_stands_first_and_has_no_date() -> None:
    assert (UNRELEASED.name, UNRELEASED.date) == ("Unreleased", None)


def test_versions_go_down_and_have_dates_that_do_so_too() -> None:
    assert all(entry.date for entry in RELEASED)
    for key in (Entry.number, lambda entry: entry.date):
        assert sorted(RELEASED, key=key, reverse=True) == RELEASED
    assert len({entry.name for entry in RELEASED}) == len(RELEASED)


def test_sections_are_known_in_order_and_not_empty() -> None:
    for entry in ENTRIES:
        names = list(entry.sections)
        assert names == [name for name in SECTIONS if name in names], entry.name
        assert all(entry.sections.values()), entry.name


def test_packages_and_citation_have_the_newest_version() -> None:
    newest = RELEASED[0]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {package.__version__ for package in (fmilib, cosmic, cosmic_local, cosmic_cli)} == {
        newest.name
    }
    assert (citation["version"], citation["date-released"]) == (newest.name, newest.date)
