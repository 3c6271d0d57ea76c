"""Files of any format, in order, into native partitions of one size."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.data.dataset_index import IndexWriter
from cosmic.data.native import PIXEL_SCALE
from cosmic.data.pack.ahead import ahead
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.columns import map_columns
from cosmic.data.pack.ids import first_text_id
from cosmic.data.pack.matching import corrected_for_extinction
from cosmic.data.pack.opening import FITS, HDF5, opened, suffix_of
from cosmic.data.pack.pixel_sample import PixelSample
from cosmic.data.pack.reading import Reading, piece_rows
from cosmic.data.pack.taken import Mapped
from cosmic.data.pack.tally import Tally
from cosmic.data.pack.writer import PartitionWriter
from cosmic.errors import InputError, InvalidInput, Problem

SHOWN_IDS = 5
PIXEL_SCALES = (PIXEL_SCALE, "pixel_scale", "pixscale", "pixel_arcsec")  # in a file's metadata
SAME_SCALE = 0.01  # relative


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        partitions: The files, in order.
        sources: What was read of each file: path, format, rows, columns, what was taken for what.
        tally: What was missing, of all files.
        repeated_ids: Number of rows whose `object_id` had occurred before.
        some_repeated: The first of those, by size.
        text_id: The first id that is not a whole number below 2^63, for which all ids are kept as
            text, and its file; None: they are kept as int64.
        unused_cutouts: Files that belong to no object.
    """

    partitions: list[Path]
    rows: int
    sources: list[dict[str, Any]]
    tally: Tally
    repeated_ids: int
    some_repeated: list[int] | list[str]
    text_id: tuple[str, Path] | None
    unused_cutouts: Sequence[Path] = ()


def pack(
    files: Sequence[Path],
    out: Path,
    choices: Choices,
    *,
    partition_bytes: int,
    per_partition: int | None = None,
    check_pixels: bool = True,
    index: bool = True,
    surveyed: Callable[[int], None] = lambda rows: None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Packed:
    """Write the rows of all files as `0.safetensors`, `1.safetensors`, …; all of them or none.

    An index is written next to them; with it, `init` need not read their headers in S3.

    Args:
        files: What is read, in this order.
        out: Folder; made if it does not exist.
        choices: What the files don't say.
        partition_bytes: Size of a partition, counted as the field does (pixels, magnitudes, id).
        per_partition: Rows of a partition, instead of its size.
        check_pixels: Whether files are refused whose pixels and magnitudes disagree.
        index: Whether to make the index, for which all bytes are hashed.
        surveyed: Called with the total number of rows, before the first is written.
        progress: Called with the rows written so far.

    Raises:
        InvalidInput: the files' fields or values have problems, all of which are listed; or files
            changed while they were read.
        InputError: the folder already has partitions or is a file, or there are no rows.
    """
    _check_out(out)
    before = _states(files)
    sources, text_id = survey(files, choices, check_pixels=check_pixels)
    surveyed(sum(source["rows"] for source in sources))
    redshifts = any("z_spec" in source["columns"] for source in sources)
    reading = Reading(files, choices, text_ids=text_id is not None)
    with _beside(out) as folder, IndexWriter() as indexing:
        scale = next((s["pixel_arcsec"] for s in sources if s["pixel_arcsec"]), None)
        with PartitionWriter(
            folder,
            partition_bytes,
            per_partition,
            scale,
            choices.wanted_bands,
            progress,
            written=indexing.add if index else lambda partition: None,
        ) as writer:
            for columns in ahead(reading.pieces()):
                if redshifts and "z_spec" not in columns:
                    columns["z_spec"] = np.full(len(columns["image"]), np.nan, np.float32)
                writer.add(columns)
            _check_unchanged(before, _states(files))
            reading.check()
            writer.finish()
        rows = sum(source["rows"] for source in sources)
        if writer.rows != rows:
            raise RuntimeError(f"{rows} rows read, {writer.rows} written")
        beside = [indexing.write(folder)] if index else []
        partitions = _moved([*writer.files, *beside], folder, out)[: len(writer.files)]
    tally = Tally()
    for each in reading.tallies:
        tally.add(each)
    for source, each in zip(sources, reading.tallies, strict=True):
        _count(source, each)
    unused = _unused_cutouts(sources, choices)
    return Packed(partitions, rows, sources, tally, *_repeated(writer.ids), text_id, unused)


def _unused_cutouts(sources: list[dict[str, Any]], choices: Choices) -> list[Path]:
    """Files of cutouts that are no object's."""
    used = frozenset[Path]().union(*(source.pop("cutouts") for source in sources))
    if choices.cutouts is None or choices.cutouts.is_file():
        return []
    from cosmic.data.pack.cutouts import files_in

    return [path for path in files_in(choices.cutouts) if path not in used]


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file", code="not-a-folder", hint="give another --out")
    if any(out.glob("*.safetensors")):
        hint = "give another --out, or empty it"
        raise InputError(f"{out} already has partitions", code="not-empty", hint=hint)


def _states(files: Sequence[Path]) -> dict[Path, tuple[int, int, int]]:
    """What differs once a file is written to or replaced: its number, size and time of change."""
    each = [p for f in files for p in (sorted(f.glob("*.npy")) if f.is_dir() else [f])]
    stats = {path: path.stat() for path in each if path.exists()}
    return {path: (s.st_ino, s.st_size, s.st_mtime_ns) for path, s in stats.items()}


def _check_unchanged(before: Mapping[Path, Any], now: Mapping[Path, Any]) -> None:
    """Refuse files that were written to while they were read: rows of two states may be mixed."""
    changed = [path for path in {**before, **now} if before.get(path) != now.get(path)]
    if changed:
        raise InvalidInput(
            [
                Problem(
                    str(path),
                    "it changed while it was read",
                    None,
                    "pack it once it is whole",
                    "changed",
                )
                for path in changed
            ]
        )


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder on the file system of `out` that is gone after the block, whatever happens."""
    there = next(p for p in out.absolute().parents if p.is_dir())
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=there) as folder:
        made = Path(folder) / "partitions"
        made.mkdir()
        yield made


def _moved(files: Sequence[Path], folder: Path, out: Path) -> list[Path]:
    """The files in `out`, at once if it isn't there yet."""
    if out.exists():
        for file in files:
            file.replace(out / file.name)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder.replace(out)
    return [out / file.name for file in files]


def _repeated(ids: list[NDArray[Any]]) -> tuple[int, list[Any]]:
    values, counts = np.unique(np.concatenate(ids), return_counts=True)
    again = values[counts > 1]
    shown = again[:SHOWN_IDS]
    return int((counts - 1).sum()), (
        shown.astype(str) if shown.dtype.kind == "S" else shown
    ).tolist()


def _count(source: dict[str, Any], tally: Tally) -> None:
    """Add what was missing to the facts about a file."""
    for column, facts in source["taken"].items():
        facts["missing"] = tally.total(column)
        facts["missing_by_value"] = tally.by_value(column)
    source["pixels"] = tally.as_dict()


def survey(
    files: Sequence[Path], choices: Choices, *, check_pixels: bool = True
) -> tuple[list[dict[str, Any]], tuple[str, Path] | None]:
    """What each file has, and whether its ids have to be kept as text.

    Returns:
        Path, format, rows and columns of each file, what is taken for what, and how bright its
        pixels are; the first id that is no whole number, and its file.

    Raises:
        InvalidInput: everything that is in the way, of all files.
        InputError: none of them has a row.
    """
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    sizes: list[tuple[int, int]] = []
    text_id = None
    photometry = PixelSample()
    for path in files:
        try:
            with opened(path) as source:
                mapped = map_columns(source, choices)
                problems += mapped.problems
                if not mapped.problems:
                    facts = {
                        "photometry": photometry.look(path, mapped),
                        "pixel_arcsec": choices.pixel_arcsec or said_scale(source.metadata),
                    }
                    found.append(_facts(path, source.format, mapped) | facts)
                    problems += _other_size(path, mapped, sizes)
                    text_id = text_id or _text_id(path, mapped)
        except InvalidInput as error:
            problems += error.problems
        except InputError as error:
            message = error.message.removeprefix(f"{path}: ")
            problems.append(Problem(str(path), message, None, error.hint, error.code))
    problems += [*_unused(choices, files), *_other_scales(found)]
    problems += photometry.problems() if check_pixels else []
    if problems:
        raise InvalidInput(problems)
    if not sum(source["rows"] for source in found):
        hint = "check that these are the files you meant"
        raise InputError("there are no rows to pack", code="no-rows", hint=hint)
    return found, text_id


def _text_id(path: Path, mapped: Mapped) -> tuple[str, Path] | None:
    """The first id of a file that has to be kept as text, and the file."""
    if "object_id" not in mapped.taken:
        return None
    (ids,) = mapped.taken["object_id"].fields
    text = first_text_id(ids, piece_rows(mapped))
    return None if text is None else (text, path)


def _unused(choices: Choices, files: Sequence[Path]) -> list[Problem]:
    """Options for files of a format of which there is none."""
    suffixes = {suffix_of(path) for path in files}
    options = (("--hdu", choices.hdus, FITS), ("--group", choices.groups, HDF5))
    return [
        Problem("", f"{option} {words[0]}: no file has one", words[0], "", "usage")
        for option, words, needed in options
        if words and not suffixes & set(needed)
    ]


def _other_size(path: Path, mapped: Mapped, sizes: list[tuple[int, int]]) -> list[Problem]:
    """Whether a file's images have another size than those before, which `sizes` holds."""
    size = mapped.image_size if mapped.rows else None
    if size is None:
        return []
    sizes.append(size)
    if size == sizes[0]:
        return []
    message = f"its images have {size} pixels, those of the first file {sizes[0]}"
    return [Problem(str(path), message, list(size), "pack them separately", "bad-partition")]


def said_scale(metadata: Mapping[str, Any]) -> float | None:
    """Side of a pixel in arcsec, if a file says it; None: it doesn't, or says no number."""
    said = {key.casefold(): value for key, value in metadata.items()}
    for key in (key for key in PIXEL_SCALES if key in said):
        try:
            scale = float(said[key])
        except (TypeError, ValueError):
            return None
        return scale if 0 < scale < math.inf else None
    return None


def _other_scales(found: Sequence[dict[str, Any]]) -> list[Problem]:
    """A problem for the first file whose pixels are of another size than those before."""
    known = [source for source in found if source["pixel_arcsec"]]
    for source in known:
        scale, first = source["pixel_arcsec"], known[0]["pixel_arcsec"]
        if not math.isclose(scale, first, rel_tol=SAME_SCALE):
            message = f"its pixels have {scale:g} arcsec, those of {known[0]['path']} {first:g}"
            return [
                Problem(source["path"], message, scale, "pack them separately", "bad-partition")
            ]
    return []


def _facts(path: Path, layout: str, mapped: Mapped) -> dict[str, Any]:
    return {
        "path": str(path),
        "format": layout,
        "rows": mapped.rows,
        "columns": sorted(mapped.taken),
        "taken": {
            column: {"field": taken.where, "unit": taken.unit, "factor": taken.factor}
            for column, taken in mapped.taken.items()
        },
        "made_up": [] if "object_id" in mapped.taken else ["object_id"],
        "corrected_for_extinction": corrected_for_extinction(
            mapped.taken["mag"].fields, mapped.wanted
        ),
        "masks_not_applied": list(mapped.masks),
        "without_cutout": mapped.cutouts[1],
        "cutouts": mapped.cutouts[0],
    }
