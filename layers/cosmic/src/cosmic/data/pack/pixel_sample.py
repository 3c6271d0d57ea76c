"""Whether the pixels of files are as bright as their magnitudes say, by a few rows of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic.data.pack.taken import Mapped
from cosmic.data.pack.tally import Tally
from cosmic.data.pack.values import read_column
from cosmic.data.photometry_check import Comparison, Report, judge, spread
from cosmic.errors import InputError, Problem

WAY_ON = "if you know better, --unchecked-pixels packs them as they are"


class PixelSample:
    """Looks at files one by one; those with too few rows to tell are judged together."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._unsure: list[Comparison] = []

    def look(self, path: Path, mapped: Mapped) -> dict[str, Any] | None:
        """Ratios and verdict of a file as JSON; None: its rows can't be read."""
        try:
            found = _compare(mapped)
        except InputError:
            return None  # said by row, with all of its kind, when all rows are read
        report = judge(found)
        if report.refused:
            self._problems.append(_problem(path, report))
        elif report.verdict == "too-few":
            self._unsure.append(found)
        return report.as_dict()

    def problems(self) -> list[Problem]:
        """Of each file whose pixels and magnitudes disagree, or of the small ones in all."""
        together = judge(Comparison.joined(self._unsure))
        if together.refused:
            return [*self._problems, _problem(None, together)]
        return self._problems


def _compare(mapped: Mapped) -> Comparison:
    (*_, field) = mapped.taken["image"].fields
    row_bytes = 4 * math.prod(n or 1 for n in field.row_shape) * len(mapped.taken["image"].fields)
    return Comparison.joined(
        [_of_rows(mapped, start, stop) for start, stop in _pieces(mapped.rows, row_bytes)]
    )


def _of_rows(mapped: Mapped, start: int, stop: int) -> Comparison:
    image, mag = (read_column(mapped, n, start, stop, Tally()) for n in ("image", "mag"))
    return Comparison.of(image, mag, mapped.wanted)


def _pieces(rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    for _, start, stop in spread([rows], [row_bytes]):
        yield start, stop


def _problem(path: Path | None, report: Report) -> Problem:
    hint = f"{report.hint}; {WAY_ON}"
    where = "" if path is None else str(path)
    ratios = {band: b.ratio for band, b in report.bands.items()}
    return Problem(where, report.message, ratios, hint, "pixels-disagree")
