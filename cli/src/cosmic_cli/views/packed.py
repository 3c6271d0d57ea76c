"""What was packed, as people see it."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from cosmic.data.pack.pack import Packed
from cosmic.data.pack.summary import taken_rows
from cosmic_cli.views.tables import whole_table


def taken_table(packed: Packed) -> Table:
    """What was taken for what, its unit, and what is missing."""
    table = whole_table("column", "taken from", "unit", "missing")
    for row in taken_rows(packed):
        table.add_row(*(escape(text) for text in row))
    return table
