"""Whether files are partitions that a run reads as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cosmic.contracts.columns import Header
from cosmic.contracts.manifest import FormatName
from cosmic.data.formats import FORMATS, read_header
from cosmic.errors import InputError


def partition_rows(files: Sequence[Path]) -> int | None:
    """Rows of partitions of one format; None: not all files are, so they have to be packed."""
    suffixes = {file.suffix for file in files}
    layouts = [name for name, layout in FORMATS.items() if {layout.suffix} == suffixes]
    if not layouts or len(set(files)) < len(files):
        return None
    rows = [_rows(file, layouts[0]) for file in files]
    known = [count for count in rows if count is not None]
    return sum(known) if len(known) == len(rows) else None


def _rows(path: Path, layout: FormatName) -> int | None:
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        try:
            found = read_header(layout, read, path.stat().st_size, str(path))
        except InputError:
            return None  # `pack` says why
    return found.rows if isinstance(found, Header) else None
