"""Files of any format, in order, into native partitions of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.data.native import write_partition
from cosmic.data.pack.columns import Choices, Mapped, map_columns, read_columns
from cosmic.data.pack.opening import opened
from cosmic.errors import InputError, InvalidInput, Problem

Columns = dict[str, NDArray[Any]]
ROW_BYTES_BESIDE_PIXELS = 28  # five magnitudes and eight bytes: how partitions are named
BANDS_BYTES = 20


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        partitions: The files, in order.
        sources: Path, format and rows of what was read.
    """

    partitions: list[Path]
    rows: int
    sources: list[dict[str, Any]]


def pack(
    files: Sequence[Path],
    out: Path,
    choices: Choices,
    *,
    partition_bytes: int,
    per_partition: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Packed:
    """Write the rows of all files as `0.safetensors`, `1.safetensors`, …

    Args:
        files: What is read, in this order.
        out: Folder; made if it isn't there.
        choices: What the files don't say.
        partition_bytes: Size of a partition, counted as the field does (pixels, magnitudes, id).
        per_partition: Rows of a partition, instead of its size.
        progress: Called with the rows written so far.

    Raises:
        InvalidInput: everything that is wrong with the files' fields.
        InputError: the folder has partitions already, or a column can't be what it has to be.
    """
    if any(out.glob("*.safetensors")):
        hint = "give another --out, or empty it"
        raise InputError(f"{out} has partitions already", code="not-empty", hint=hint)
    sources = survey(files, choices)
    redshifts = any("z_spec" in source["columns"] for source in sources)
    out.mkdir(parents=True, exist_ok=True)
    writer = _Writer(out, partition_bytes, per_partition, progress)
    for columns in _pieces(files, choices):
        if redshifts and "z_spec" not in columns:
            columns["z_spec"] = np.full(len(columns["image"]), np.nan, np.float32)
        writer.add(columns)
    writer.finish()
    rows = sum(source["rows"] for source in sources)
    if writer.rows != rows:
        raise RuntimeError(f"{rows} rows read, {writer.rows} written")
    return Packed(writer.files, rows, sources)


def survey(files: Sequence[Path], choices: Choices) -> list[dict[str, Any]]:
    """Path, format, rows and columns of each file.

    Raises:
        InvalidInput: everything that is in the way, of all files.
    """
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for path in files:
        with opened(path) as source:
            mapped = map_columns(source, choices)
            if isinstance(mapped, Mapped):
                facts = {"path": str(path), "format": source.format, "rows": source.rows}
                found.append({**facts, "columns": sorted(mapped.fields)})
            else:
                problems += mapped
    if problems:
        raise InvalidInput(problems)
    return found


def _pieces(files: Sequence[Path], choices: Choices, rows: int = 1024) -> Iterator[Columns]:
    for index, path in enumerate(files):
        with opened(path) as source:
            mapped = map_columns(source, choices)
            if not isinstance(mapped, Mapped):
                raise InvalidInput(mapped)
            for start in range(0, source.rows, rows):
                stop = min(start + rows, source.rows)
                yield read_columns(source, mapped, index, start, stop)


class _Writer:
    """Collects rows and writes a partition whenever there are enough for one."""

    def __init__(
        self, out: Path, size: int, per_partition: int | None, progress: Callable[[int], None]
    ) -> None:
        self._out, self._size, self._progress = out, size, progress
        self._per_partition = per_partition
        self._pieces: list[Columns] = []
        self._held = 0
        self.files: list[Path] = []
        self.rows = 0

    def add(self, columns: Columns) -> None:
        """Take rows."""
        per_partition = self._rows_of_a_partition(columns["image"])
        self._check_shape(columns["image"])
        self._pieces.append(columns)
        self._held += len(columns["image"])
        while self._held >= per_partition:
            self._write(per_partition)

    def finish(self) -> None:
        """Write what is left."""
        if self._held:
            self._write(self._held)

    def _rows_of_a_partition(self, image: NDArray[Any]) -> int:
        if self._per_partition is None:
            row = BANDS_BYTES * image.shape[2] * image.shape[3] + ROW_BYTES_BESIDE_PIXELS
            if self._size < row:
                message = f"a partition of {self._size} bytes holds no row of {row}"
                raise InputError(message, hint="give a larger --partition-size")
            self._per_partition = self._size // row
        return self._per_partition

    def _check_shape(self, image: NDArray[Any]) -> None:
        if self._pieces and self._pieces[0]["image"].shape[1:] != image.shape[1:]:
            sizes = f"{self._pieces[0]['image'].shape[2:]} and {image.shape[2:]} pixels"
            raise InputError(f"images of {sizes}", code="bad-partition", hint="pack them apart")

    def _write(self, rows: int) -> None:
        whole = {n: np.concatenate([p[n] for p in self._pieces]) for n in self._pieces[0]}
        path = self._out / f"{len(self.files)}.safetensors"
        write_partition(path, {name: column[:rows] for name, column in whole.items()})
        self.files.append(path)
        self.rows += rows
        self._held -= rows
        self._pieces = [{n: c[rows:] for n, c in whole.items()}] if self._held else []
        self._progress(self.rows)
