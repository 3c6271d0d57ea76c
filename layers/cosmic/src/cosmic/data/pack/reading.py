"""The rows of all files as native columns, and all that is wrong with their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cosmic.contracts.columns import completed
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.columns import map_columns
from cosmic.data.pack.ids import as_texts
from cosmic.data.pack.opening import opened
from cosmic.data.pack.source import SHOWN_ROWS, RowsRefused, shown_rows
from cosmic.data.pack.taken import Mapped
from cosmic.data.pack.tally import Tally
from cosmic.data.pack.unfit import NEEDED
from cosmic.data.pack.units import WANTED
from cosmic.data.pack.values import read_column
from cosmic.errors import InputError, InvalidInput, Problem

Columns = dict[str, NDArray[Any]]
PIECE_BYTES = 8 << 20
PIECE_ROWS = 4096


@dataclass
class _Refused:
    """One thing that is wrong in many rows of a file: the first rows, and how many there are."""

    hint: str
    code: str
    rows: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, error: RowsRefused) -> None:
        """Take further rows."""
        room = SHOWN_ROWS - len(self.rows)
        self.rows += error.rows[: max(room, 0)]
        self.seen += error.seen[: max(room, 0)]
        self.count += len(error.rows)


class Reading:
    """Reads files piece by piece; after the first problem it only looks for more.

    Attributes:
        tallies: What was missing, one a file.

    Args:
        text_ids: Whether ids are kept as text; else they are whole numbers.
    """

    def __init__(self, files: Sequence[Path], choices: Choices, *, text_ids: bool) -> None:
        self._files, self._choices, self._text_ids = files, choices, text_ids
        self._problems: list[Problem] = []
        self._refused: dict[tuple[str, str], _Refused] = {}
        self.tallies: list[Tally] = []

    def pieces(self) -> Iterator[Columns]:
        """Consecutive rows of all files, as long as nothing is wrong."""
        for index, path in enumerate(self._files):
            tally = Tally()
            self.tallies.append(tally)
            with opened(path) as source:
                mapped = map_columns(source, self._choices)
                if mapped.problems:
                    raise InvalidInput(list(mapped.problems))
                step = piece_rows(mapped)
                for start in range(0, mapped.rows, step):
                    stop = min(start + step, mapped.rows)
                    columns = self._piece(path, mapped, start, stop, tally)
                    if not self._problems and not self._refused:
                        yield self._with_ids(completed(columns, index, start, len(mapped.wanted)))

    def check(self) -> None:
        """Raise what was found.

        Raises:
            InvalidInput: everything that is wrong with the values of all files.
        """
        for path, tally in zip(self._files, self.tallies, strict=False):
            none = [column for column in tally.not_plausible if column in NEEDED]
            self._problems += [_implausible(path, column, tally) for column in none]
        rows = [
            Problem(path, f"{what}: {shown_rows(r.rows, r.seen, r.count)}", r.rows, r.hint, r.code)
            for (path, what), r in self._refused.items()
        ]
        if rows or self._problems:
            raise InvalidInput([*self._problems, *rows])

    def _with_ids(self, columns: Columns) -> Columns:
        """Made-up ids are of the kind of all others."""
        if self._text_ids:
            columns["object_id"] = as_texts(columns["object_id"])
        return columns

    def _piece(self, path: Path, mapped: Mapped, start: int, stop: int, tally: Tally) -> Columns:
        columns = {}
        for name in mapped.taken:
            try:
                columns[name] = read_column(
                    mapped, name, start, stop, tally, text_ids=self._text_ids
                )
            except RowsRefused as error:
                kept = _Refused(error.hint, error.code)
                self._refused.setdefault((str(path), error.what), kept).add(error)
            except InputError as error:
                message = error.message.removeprefix(f"{path}: ")
                self._add(Problem(str(path), message, None, error.hint, error.code))
        return columns

    def _add(self, problem: Problem) -> None:
        if problem not in self._problems:
            self._problems.append(problem)


def _implausible(path: Path, column: str, tally: Tally) -> Problem:
    hint = f"they may be in another unit than {WANTED[column]}: convert them"
    values = list(tally.by_value(column))[:SHOWN_ROWS]
    return Problem(str(path), tally.none_plausible(column), values, hint, "bad-unit")


def piece_rows(mapped: Mapped) -> int:
    """The number of rows whose pixels take about `PIECE_BYTES`."""
    (*_, image) = mapped.taken["image"].fields
    row = 4 * math.prod(n or 1 for n in image.row_shape)
    return max(1, min(PIECE_ROWS, PIECE_BYTES // row))
