"""Partitions of whatever is given: the files themselves if they are some, else packed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cosmic.contracts.bands import Bands
from cosmic.contracts.columns import Header
from cosmic.contracts.contract import FormatName
from cosmic.data.formats import FORMATS, read_header
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.pack import Packed, pack
from cosmic.errors import InputError
from cosmic.workstation.job import Given
from cosmic.workstation.plan_here import partition_files
from cosmic.workstation.sources import download
from cosmic.workstation.step import Step
from cosmic.workstation.work_folder import WorkFolder

if TYPE_CHECKING:
    from cosmic.storage.objects import Store

PARTITION_BYTES = 25 << 20


@dataclass(frozen=True)
class Ready:
    """Partitions on this machine.

    Attributes:
        packed: What was taken for what; None: the files are partitions, or an earlier call packed
            them.
    """

    files: list[Path]
    rows: int
    packed: Packed | None = None


def ready_partitions(
    given: Given,
    work: WorkFolder,
    store: Callable[[], Store],
    progress: Callable[[Step], None],
    partition_bytes: int = PARTITION_BYTES,
) -> Ready:
    """Copy here what lies elsewhere, and pack what are no partitions yet.

    Raises:
        InvalidInput: everything that is wrong with the files.
        InputError: one can't be read, or there are no rows.
        TransientError: S3 failed; calling again goes on.
    """

    def fetched(done: int, of: int) -> None:
        progress(Step("downloading", done, of))

    if work.partitions.is_dir():
        files = partition_files(work.partitions)
        return Ready(files, partition_rows(files, given.choices.wanted_bands) or 0)
    paths = download(given.inputs.files, work.downloads, store, fetched)
    bands = given.choices.wanted_bands
    as_they_are = replace(given.choices, bands=None) == Choices()
    rows = partition_rows(paths, bands) if as_they_are else None
    if rows is not None:
        return Ready(paths, rows)
    found: list[int] = []
    packed = pack(
        paths,
        work.partitions,
        given.choices,
        partition_bytes=partition_bytes,
        check_pixels=given.check_pixels,
        index=False,  # the files are listed by name here
        surveyed=found.append,
        progress=lambda done: progress(Step("packing", done, found[0])),
    )
    return Ready(packed.partitions, packed.rows, packed)


def partition_rows(files: Sequence[Path], bands: Bands) -> int | None:
    """Rows of partitions of one format and these bands; None: not all files are, so they have to be
    packed."""
    suffixes = {file.suffix for file in files}
    layouts = [name for name, layout in FORMATS.items() if {layout.suffix} == suffixes]
    if not layouts or len(set(files)) < len(files):
        return None
    rows = [_rows(file, layouts[0], bands) for file in files]
    known = [count for count in rows if count is not None]
    return sum(known) if len(known) == len(rows) else None


def _rows(path: Path, layout: FormatName, bands: Bands) -> int | None:
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        try:
            found = read_header(layout, read, path.stat().st_size, str(path))
        except InputError:
            return None  # `pack` says why
    return found.rows if isinstance(found, Header) and found.bands == bands else None
