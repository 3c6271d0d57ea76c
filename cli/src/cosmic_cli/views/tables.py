"""Tables in which nothing is cut: ids and names are copied from them."""

from __future__ import annotations

from rich.table import Column, Table


def whole_table(*headers: str, title: str | None = None) -> Table:
    """A table whose cells go on in the next line where a terminal is too narrow.

    Args:
        headers: Of its columns; numbers after the first may be set to the right by the caller.
        title: Above it.
    """
    return Table(*(Column(header, overflow="fold") for header in headers), title=title)


def pairs_table(title: str | None = None) -> Table:
    """The same of names and values, without headers."""
    columns = (Column(overflow="fold"), Column(overflow="fold"))
    return Table(*columns, title=title, show_header=False)
