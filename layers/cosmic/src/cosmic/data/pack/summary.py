"""What was packed, in words: what was taken for what, what is missing, what to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cosmic.contracts.columns import COLUMNS
from cosmic.contracts.text_ids import MOST_BYTES
from cosmic.data.pack.pack import Packed
from cosmic.data.pack.tally import in_words

SHOWN_NAMES = 3
VERDICTS = {"ok": "they agree", "too-few": "too few objects to tell"}


def taken_rows(packed: Packed) -> Iterator[tuple[str, str, str, str]]:
    """Of each column: its name, where it was taken from, the unit there, what is missing."""
    for column in COLUMNS:
        taken = [s["taken"][column] for s in packed.sources if column in s["taken"]]
        lacking = len(packed.sources) - len(taken)
        if not taken and column == "z_spec":
            continue
        names = _distinct([t["field"] for t in taken])
        if lacking:
            what = "made up by file and row" if column == "object_id" else "not there"
            of = f" in {lacking:,} of {len(packed.sources):,} files" if taken else ""
            names = f"{names}; {what}{of}" if taken else what
        if column == "object_id":
            names += f"; kept as {'text' if packed.text_id else 'int64'}"
        missing = _missing(packed, column) if taken else ""
        yield column, names, _distinct([t["unit"] for t in taken if t["unit"]]), missing


def _distinct(texts: Sequence[str]) -> str:
    found = list(dict.fromkeys(texts))
    more = f" and {len(found) - SHOWN_NAMES} more" if len(found) > SHOWN_NAMES else ""
    return ", ".join(found[:SHOWN_NAMES]) + more


def _missing(packed: Packed, column: str) -> str:
    if column == "object_id":
        return ""
    if column == "image":
        return (
            f"{packed.tally.lost_images:,} images" if packed.tally.lost_images else "none missing"
        )
    return in_words(packed.tally.by_value(column))


def warnings_of(packed: Packed, ignored: Sequence[Path]) -> Iterator[str]:
    """What somebody should know of who packs these files."""
    yield from ignored_line(ignored)
    without = [s["path"] for s in packed.sources if s["made_up"]]
    if without:
        files = _distinct([Path(p).name for p in without])
        yield f"object_id made up (file x 1,000,000,000 + row): no ids were taken from {files}"
    yield from _values_and_masks(packed)
    without_cutout = sum(s["without_cutout"] for s in packed.sources)
    if without_cutout:
        yield f"{without_cutout:,} objects have no cutout; their pixels are missing"
    if packed.unused_cutouts:
        names = _distinct([path.name for path in packed.unused_cutouts])
        yield f"{len(packed.unused_cutouts):,} cutouts belong to no object: {names}"
    yield from _ids(packed)
    counts = (
        (packed.tally.lost_images, "without any pixel"),
        (packed.tally.bad_pixels, "with pixels that are not finite"),
        (packed.tally.empty_bands, "with a band of nothing but zeros"),
    )
    for count, what in counts:
        if count:
            yield f"{count:,} images {what}"
    for source in packed.sources:
        if message := (source["photometry"] or {}).get("message"):
            yield f"{Path(source['path']).name}: {message}: {source['photometry']['hint']}"


def _values_and_masks(packed: Packed) -> Iterator[str]:
    """Of columns and masks that are not what they might be taken for."""
    for column in packed.tally.not_plausible:
        yield f"{packed.tally.none_plausible(column)}: all are missing; is it in another unit?"
    masks = _distinct([name for s in packed.sources for name in s["masks_not_applied"]])
    if masks:
        yield f"not applied: {masks}; set pixels and magnitudes that they mark as bad to NaN"
    reddened = [s for s in packed.sources if s["corrected_for_extinction"] is False]
    if reddened:
        names = _distinct([s["taken"]["mag"]["field"] for s in reddened])
        yield (
            f"not corrected for Galactic extinction, by their names: {names}; the model that "
            "Cosmic ships was trained on corrected magnitudes, such as dered_r"
        )


def _ids(packed: Packed) -> Iterator[str]:
    """How ids are kept, and which come again."""
    if packed.text_id:
        text, path = packed.text_id
        shown = repr(text[:MOST_BYTES]) + ("…" if len(text) > MOST_BYTES else "")
        yield f"object_id kept as text: {shown} in {path.name} is not a whole number below 2^63"
    if packed.repeated_ids:
        some = ", ".join(map(str, packed.some_repeated))
        yield f"object_id is repeated in {packed.repeated_ids:,} rows, such as {some}"


def photometry_lines(facts: Mapping[str, Any] | None) -> Iterator[str]:
    """How bright a file's pixels are beside its magnitudes, and what is wrong if anything is."""
    if facts is None:
        return
    ratios = ", ".join(f"{band} {_ratio(b['ratio'])}" for band, b in facts["bands"].items())
    verdict = VERDICTS.get(facts["verdict"], "they disagree")
    yield f"pixel sum / flux of the magnitude: {ratios} ({facts['objects']:,} rows): {verdict}"
    if facts["message"]:
        look = "to pack" if facts["verdict"] not in VERDICTS else "look at this"
        yield f"{look}: {facts['message']} ({facts['hint']})"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def ignored_line(ignored: Sequence[Path]) -> Iterator[str]:
    """Which files in folders are not read, in one line if there are any."""
    if ignored:
        names = [f"{p.name}/" if p.is_dir() else p.name for p in ignored]
        yield f"not read: {_distinct(names)}"
