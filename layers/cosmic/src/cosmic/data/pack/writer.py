"""Rows into native partitions of one size."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import Bands
from cosmic.data.native import Column, write_partition
from cosmic.errors import InputError

Columns = dict[str, NDArray[Any]]
BAND_BYTES = 4  # of a pixel, and of a magnitude
ID_BYTES = 8


class PartitionWriter:
    """Collects rows and writes a partition whenever there are enough for one.

    One partition is written in another thread while rows of the next are collected. Use it in a
    `with`: at its end, what is being written is waited for.

    Attributes:
        files: Those written, in order.
        ids: Of all rows taken, piece by piece.
        rows: Those written.

    Args:
        out: Folder to write to.
        size: Of a partition, in bytes of pixels, magnitudes and ids.
        per_partition: Rows of a partition, instead of its size.
        pixel_arcsec: Side of a pixel; None: it is not known.
        bands: In their order.
        progress: Called with the rows written so far.
        written: Called with each partition whose file is complete.
    """

    def __init__(
        self,
        out: Path,
        size: int,
        per_partition: int | None,
        pixel_arcsec: float | None,
        bands: Bands,
        progress: Callable[[int], None],
        written: Callable[[Path], None],
    ) -> None:
        self._out, self._size = out, size
        self._progress, self._written = progress, written
        self._pixel_arcsec, self._bands = pixel_arcsec, bands
        self._per_partition = per_partition
        self._pieces: list[Columns] = []
        self._held = 0
        self._aside = ThreadPoolExecutor(1, "partitions")
        self._writing: tuple[Path, int, Future[None]] | None = None
        self.files: list[Path] = []
        self.ids: list[NDArray[Any]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the thread."""
        self._aside.shutdown(cancel_futures=True)

    def add(self, columns: Columns) -> None:
        """Take rows."""
        per_partition = self._rows_of_a_partition(columns["image"])
        self._check_shape(columns["image"])
        self.ids.append(columns["object_id"])
        self._pieces.append(columns)
        self._held += len(columns["image"])
        while self._held >= per_partition:
            self._write(per_partition)

    def finish(self) -> None:
        """Write what is left, and wait until it is written."""
        if self._held:
            self._write(self._held)
        self._wait()

    def _rows_of_a_partition(self, image: NDArray[Any]) -> int:
        if self._per_partition is None:
            pixels = image.shape[2] * image.shape[3]
            row = BAND_BYTES * len(self._bands) * (pixels + 1) + ID_BYTES
            if self._size < row:
                message = f"a partition of {self._size} bytes holds no row of {row}"
                raise InputError(message, hint="give a larger --partition-size")
            self._per_partition = self._size // row
        return self._per_partition

    def _check_shape(self, image: NDArray[Any]) -> None:
        if self._pieces and self._pieces[0]["image"].shape[1:] != image.shape[1:]:
            sizes = f"{self._pieces[0]['image'].shape[2:]} and {image.shape[2:]} pixels"
            raise InputError(
                f"images of {sizes}", code="bad-partition", hint="pack them separately"
            )

    def _write(self, rows: int) -> None:
        self._wait()
        path = self._out / f"{len(self.files)}.safetensors"
        self._writing = path, rows, self._aside.submit(self._write_file, path, self._taken(rows))

    def _wait(self) -> None:
        """Count the partition that is being written, once it is."""
        if self._writing is None:
            return
        path, rows, written = self._writing
        written.result()
        self._writing = None
        self.files.append(path)
        self._written(path)
        self.rows += rows
        self._progress(self.rows)

    def _write_file(self, path: Path, taken: list[Columns]) -> None:
        # Not the pixels: they would be held twice.
        columns: dict[str, Column] = {"image": [piece["image"] for piece in taken]}
        for name in taken[0].keys() - {"image"}:
            columns[name] = np.concatenate([piece[name] for piece in taken])
        scale, bands = self._pixel_arcsec, self._bands
        write_partition(path, columns, pixel_scale_arcsec=scale, bands=bands)

    def _taken(self, rows: int) -> list[Columns]:
        """The first rows, which are no longer held; of pieces, not copied."""
        taken: list[Columns] = []
        self._held -= rows
        while rows:
            piece = self._pieces.pop(0)
            taken.append({name: column[:rows] for name, column in piece.items()})
            length = len(piece["image"])
            if length > rows:
                self._pieces.insert(0, {name: column[rows:] for name, column in piece.items()})
            rows -= min(rows, length)
        return taken
