"""Labelled partitions on this machine: split by a hash of the id, read by range when needed."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import Bands, listed_bands
from cosmic.contracts.columns import Header, completed
from cosmic.contracts.contract import FormatName
from cosmic.contracts.plausible import plausible_magnitudes, plausible_redshifts
from cosmic.data.formats import FORMATS, read_header
from cosmic.data.synth.dataset import Columns
from cosmic.data.synth.split import mixed
from cosmic.errors import InputError, InvalidInput, Problem

Part = Literal["train", "validation", "calibration", "test"]
PERCENT: dict[Part, tuple[int, int]] = {
    "train": (0, 70),
    "validation": (70, 80),
    "calibration": (80, 90),
    "test": (90, 100),
}
SPLIT_KEY = np.uint64(0xC05)  # other halves than those of other hashes of ids
CHUNK_ROWS, POOL_CHUNKS = 64, 32  # rows that are read together, and of what a batch is mixed
SOME_ROWS = 256
FEWEST = 50  # objects of each part
COLUMNS = ("image", "mag", "z_spec", "object_id")


@dataclass(frozen=True)
class LabelledFile:
    """One partition: where it is, what is in it, the scale of its pixels if it says so."""

    path: Path
    header: Header
    pixel_arcsec: float | None

    def column(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Consecutive rows of a column, as stored."""
        tensor = self.header.tensors[name]
        offset, length = tensor.byte_range(start, stop)
        with self.path.open("rb") as file:
            file.seek(offset)
            return tensor.rows(memoryview(file.read(length)))


@dataclass(frozen=True)
class LabelledData:
    """The objects of some partitions that have a redshift.

    Attributes:
        files: The partitions, in the order of their names.
        parts: Of each part the objects' files and rows (N, 2) int64, in the order of the files.
        left_out: Rows without a plausible z_spec.
        pixel_arcsec: Scale of the pixels.
    """

    files: tuple[LabelledFile, ...]
    parts: dict[Part, NDArray[np.int64]]
    left_out: int
    pixel_arcsec: float

    @property
    def image_side(self) -> int:
        """The images' shorter side, pixels."""
        return int(min(self.files[0].header.tensors["image"].shape[2:]))

    @property
    def bands(self) -> Bands:
        """Bands of the images and magnitudes, in order."""
        return self.files[0].header.bands

    def read(self, rows: NDArray[np.int64], names: Sequence[str] = COLUMNS) -> Columns:
        """The objects with these files and rows (N, 2), in this order.

        Returns:
            The columns, by name; a magnitude is NaN where it is not plausible.
        """
        pieces = [self._run(run, names) for run in _runs(rows)]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}

    def shuffled(self, part: Part, batch: int, rng: np.random.Generator) -> Iterator[Columns]:
        """Batches of a part without end, each object once before any comes again.

        Objects are mixed within pools of some thousand that are read together, so memory does not
        grow with the data and the disk is read in pieces.
        """
        index = self.parts[part]
        chunks = np.array_split(index, -(-len(index) // CHUNK_ROWS))
        while True:
            mixed_up = rng.permutation(len(chunks)).tolist()
            for first in range(0, len(chunks), POOL_CHUNKS):
                pool = sorted(mixed_up[first : first + POOL_CHUNKS])
                data = self.read(np.concatenate([chunks[i] for i in pool]))
                order = rng.permutation(len(data["z_spec"]))
                for at in range(0, max(len(order) - batch + 1, 1), batch):
                    yield {name: c[order[at : at + batch]] for name, c in data.items()}

    def in_order(self, part: Part) -> Iterator[Columns]:
        """All objects of a part, `SOME_ROWS` at a time."""
        index = self.parts[part]
        for at in range(0, len(index), SOME_ROWS):
            yield self.read(index[at : at + SOME_ROWS])

    def sample(self, part: Part, objects: int, names: Sequence[str] = COLUMNS) -> Columns:
        """Some of a part's objects, evenly spaced."""
        index = self.parts[part]
        return self.read(index[:: max(1, -(-len(index) // objects))], names)

    def sha256(self) -> str:
        """Of the files' bytes, one file after the other."""
        digest = hashlib.sha256()
        for labelled in self.files:
            with labelled.path.open("rb") as file:
                while piece := file.read(1 << 22):
                    digest.update(piece)
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """What a model's card says of it, as JSON."""
        return {
            "files": len(self.files),
            "objects": {part: len(rows) for part, rows in self.parts.items()},
            "left_out_without_z_spec": self.left_out,
            "bands": list(self.bands),
            "image_side": self.image_side,
            "pixel_arcsec": self.pixel_arcsec,
        }

    def _run(self, run: NDArray[np.int64], names: Sequence[str]) -> Columns:
        number, start, stop = int(run[0, 0]), int(run[0, 1]), int(run[-1, 1]) + 1
        file = self.files[number]
        there = [name for name in names if name in file.header.tensors]
        found = {name: file.column(name, start, stop) for name in there}
        made = completed({"image": np.empty(stop - start), **found}, number, start, len(self.bands))
        known = plausible_magnitudes(made["mag"])
        return {**made, "mag": np.where(known, made["mag"], np.float32(np.nan))}


def open_labelled(folder: Path, pixel_arcsec: float | None = None) -> LabelledData:
    """Look at all partitions of a folder: their headers, ids and redshifts.

    Args:
        folder: With partitions as `cosmic data pack` writes them.
        pixel_arcsec: Scale of the pixels; None: what the files say.

    Raises:
        InputError: there are no partitions, one is damaged, has no z_spec or other images than
            the first, none says its pixels' scale, or a part has too few objects.
    """
    paths = [p for p in sorted(folder.glob("*")) if _layout(p)]
    if not paths:
        endings = " or ".join(kind.suffix for kind in FORMATS.values())
        hint = "`cosmic data pack FILE… --out FOLDER` makes them"
        raise InputError(f"{folder} holds no partitions ({endings})", code="not-found", hint=hint)
    files = tuple(_open(path) for path in paths)
    if problems := _unlike(files):
        raise InvalidInput(problems)
    kept, all_parts, left_out = [], [], 0
    for number, file in enumerate(files):
        rows, parts = _labelled_rows(file, number)
        left_out += file.header.rows - len(rows)
        kept.append(np.column_stack([np.full(len(rows), number), rows]))
        all_parts.append(parts)
    index, percent = np.concatenate(kept), np.concatenate(all_parts)
    found = {
        part: index[(percent >= low) & (percent < high)] for part, (low, high) in PERCENT.items()
    }
    if few := {part: len(rows) for part, rows in found.items() if len(rows) < FEWEST}:
        said = ", ".join(f"{part} {n}" for part, n in few.items())
        raise InputError(
            f"{folder}: too few objects with a z_spec: {said} (of {len(index)})",
            code="too-few",
            hint=f"each part needs {FEWEST}, so some {10 * FEWEST} and more in all",
        )
    return LabelledData(files, found, left_out, _scale(files, pixel_arcsec))


def percentile_of(ids: NDArray[Any]) -> NDArray[np.int64]:
    """From 0 to 99 (N,), by a hash of each id alone: equal ids are always in one part."""
    if ids.dtype.kind == "S":
        each = [hashlib.blake2b(text, digest_size=8).digest() for text in ids.tolist()]
        keys = np.frombuffer(b"".join(each), "<u8")
    else:
        keys = ids.astype(np.uint64)
    return (mixed(keys ^ SPLIT_KEY) % np.uint64(100)).astype(np.int64)


def _labelled_rows(file: LabelledFile, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows (N,) with a plausible z_spec, and their percentiles (N,)."""
    total = file.header.rows
    made: dict[str, NDArray[Any]] = {"image": np.empty(total)}
    for name in ("z_spec", "object_id"):
        if name in file.header.tensors:
            made[name] = file.column(name, 0, total)
    made = completed(made, number, 0)
    rows = np.flatnonzero(plausible_redshifts(made["z_spec"]))
    return rows, percentile_of(made["object_id"][rows])


def _runs(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Pieces of consecutive rows of one file."""
    keys = rows[:, 0] * (1 << 40) + rows[:, 1] - np.arange(len(rows))
    for _, run in groupby(range(len(rows)), key=keys.__getitem__):
        places = list(run)
        yield rows[places[0] : places[-1] + 1]


def _layout(path: Path) -> FormatName | None:
    return next((n for n, kind in FORMATS.items() if kind.is_partition(path.name)), None)


def _open(path: Path) -> LabelledFile:
    layout = _layout(path) or "safetensors"
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        header = read_header(layout, read, path.stat().st_size, str(path))
        scale = _stated_scale(read) if layout == "safetensors" else None
    if not isinstance(header, Header):
        raise InvalidInput(header)
    return LabelledFile(path, header, scale)


def _stated_scale(read: Any) -> float | None:
    (length,) = struct.unpack("<Q", read(0, 8))
    stated = json.loads(read(8, length)).get("__metadata__", {}).get("pixel_scale_arcsec")
    return None if stated is None else float(stated)


def _unlike(files: Sequence[LabelledFile]) -> list[Problem]:
    """What speaks against training on these files together."""
    problems = []
    bands = files[0].header.bands
    first = files[0].header.tensors["image"].shape[1:]
    for file in files:
        where, shape = str(file.path), file.header.tensors["image"].shape[1:]
        if "z_spec" not in file.header.tensors:
            hint = "pack it with a column of spectroscopic redshifts (--column z_spec=NAME)"
            problems.append(Problem(where, "has no z_spec to learn from", None, hint, "no-z-spec"))
        if file.header.bands != bands:
            hint = f"those of {files[0].path.name} are {listed_bands(bands)}, in this order"
            message = f"its bands are {listed_bands(file.header.bands)}"
            problems.append(Problem(where, message, None, hint, "other-bands"))
        if shape != first:
            hint = f"those of {files[0].path.name} are {list(first)}"
            message = f"its images are {list(shape)}"
            problems.append(Problem(where, message, list(shape), hint, "bad-partition"))
    return problems


def _scale(files: Sequence[LabelledFile], given: float | None) -> float:
    stated = sorted({f.pixel_arcsec for f in files if f.pixel_arcsec is not None})
    if given is not None:
        return given
    if len(stated) != 1:
        said = f"say {', '.join(map(str, stated))}" if stated else "don't say it"
        raise InputError(
            f"the scale of the pixels is not known: the files {said}",
            code="no-scale",
            hint="give it, in arcseconds: --pixel-scale 0.262",
        )
    return stated[0]
