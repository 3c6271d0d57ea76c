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
    without_cutout = sum(s["without_cutout"] for s in packed.sources)
    if without_cutout:
        yield f"{without_cutout:,} objects have no cutout; their pixels are missing"
    if packed.unused_cutouts:
        names = _distinct([path.name for path in packed.unused_cutouts])
        yield f"{len(packed.unused_cutouts):,} cutouts are of no object: {names}"
    if packed.text_id:
        text, path = packed.text_id
        shown = repr(text[:MOST_BYTES]) + ("…" if len(text) > MOST_BYTES else "")
        yield f"object_id kept as text: {shown} in {path.name} is no whole number below 2^63"
    if packed.repeated_ids:
        some = ", ".join(map(str, packed.some_repeated))
        yield f"object_id comes again in {packed.repeated_ids:,} rows, such as {some}"
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
            yield f"{Path(source['path']).name}: {message}"


def photometry_lines(facts: Mapping[str, Any] | None) -> Iterator[str]:
    """How bright a file's pixels are beside its magnitudes, and what is wrong if anything is."""
    if facts is None:
        return
    ratios = ", ".join(f"{band} {_ratio(b['ratio'])}" for band, b in facts["bands"].items())
    verdict = VERDICTS.get(facts["verdict"], "they disagree")
    yield f"pixel sum / flux of the magnitude: {ratios} ({facts['objects']:,} rows): {verdict}"
    if facts["message"]:
        yield f"to pack: {facts['message']} ({facts['hint']})"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def ignored_line(ignored: Sequence[Path]) -> Iterator[str]:
    """Which files in folders are not read, in one line if there are any."""
    if ignored:
        yield f"not read: {_distinct([p.name for p in ignored])}"
