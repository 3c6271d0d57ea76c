"""What was missing in the columns of a file, counted by the value that said so."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from cosmic.data.pack.source import Array, Values

MOST_VALUES = 1000
SHOWN_VALUES = 5
OTHER, NULL, NAN = "other values", "null", "nan"
MANY_VALUES = 5  # of which none is plausible: a wrong unit, not a mark of what is missing


class Tally:
    """Counts while rows are read; bounded, however many rows there are.

    Attributes:
        seen: By column, how many values there were, missing ones too.
        values: By column, how often each value said that something is missing: `null` for the
            file's own mark, `nan`, or a number that is not plausible.
        lost_images: Images without any finite pixel.
        bad_pixels: Other images that have pixels which are not finite.
        empty_bands: Images with a band that has no pixel but zeros.
    """

    def __init__(self) -> None:
        self.values: dict[str, Counter[str]] = {}
        self.seen: Counter[str] = Counter()
        self.lost_images = self.bad_pixels = self.empty_bands = 0

    def missing(self, column: str, values: Values, gone: Array, there: Array) -> None:
        """Count what is not there.

        Args:
            column: Its name.
            values: As the file has them.
            gone: Where the file says that nothing is.
            there: Where something plausible is.
        """
        count = self.values.setdefault(column, Counter())
        self.seen[column] += there.size
        if there.all():
            return
        gone, there = gone.reshape(-1), there.reshape(-1)
        data = values.data.reshape(-1)
        count.update({NULL: int(gone.sum())} if gone.any() else {})
        odd = data[~there & ~gone]
        isnan = np.isnan(odd)
        count.update({NAN: int(isnan.sum())} if isnan.any() else {})
        for value, times in zip(*np.unique(odd[~isnan], return_counts=True), strict=True):
            text = f"{value:.7g}" if odd.dtype.kind == "f" else str(value)
            count[text if text in count or len(count) < MOST_VALUES else OTHER] += int(times)

    def pixels(self, image: Array) -> None:
        """Count images that are not whole; (rows, band, H, W)."""
        flat = image.reshape(*image.shape[:2], -1)
        most, least = flat.max(axis=2), flat.min(axis=2)  # NaN if a pixel is
        whole = (np.isfinite(most) & np.isfinite(least)).all(axis=1)
        self.empty_bands += int((whole & ((most == 0) & (least == 0)).any(axis=1)).sum())
        broken = flat[~whole]
        finite = np.isfinite(broken)
        lost = ~finite.any(axis=(1, 2))
        empty = ((broken == 0) | ~finite).all(axis=2).any(axis=1)
        self.lost_images += int(lost.sum())
        self.bad_pixels += int((~lost).sum())
        self.empty_bands += int((empty & ~lost).sum())

    def add(self, other: Tally) -> None:
        """Count what another has counted, too."""
        self.seen.update(other.seen)
        for column, count in other.values.items():
            self.values.setdefault(column, Counter()).update(count)
        self.lost_images += other.lost_images
        self.bad_pixels += other.bad_pixels
        self.empty_bands += other.empty_bands

    def total(self, column: str) -> int:
        """How many values of a column are missing; of `image`, how many rows."""
        return self.lost_images if column == "image" else self.values.get(column, Counter()).total()

    @property
    def not_plausible(self) -> list[str]:
        """Columns of which no value can be one, although the values are not marks of missing ones:
        of those there are a few that come again and again."""
        return [
            column
            for column, seen in self.seen.items()
            if self.total(column) == seen
            and len({*self.values[column]} - {NULL, NAN}) >= MANY_VALUES
        ]

    def none_plausible(self, column: str) -> str:
        """Such as `none of 35 values of mag can be one, such as 16000, 15017`."""
        values = ", ".join(list(self.by_value(column))[:SHOWN_VALUES])
        return f"none of the {self.seen[column]:,} values of {column} is possible, such as {values}"

    def by_value(self, column: str) -> dict[str, int]:
        """The values that said so, the most frequent first."""
        return dict(self.values.get(column, Counter()).most_common())

    def as_dict(self) -> dict[str, Any]:
        """The images' counts as plain JSON."""
        return {
            "lost_images": self.lost_images,
            "images_with_bad_pixels": self.bad_pixels,
            "images_with_an_empty_band": self.empty_bands,
        }


def in_words(counts: dict[str, int]) -> str:
    """Such as `12 missing (-9: 10, -99: 2)`."""
    shown = list(counts.items())[:SHOWN_VALUES]
    more = ", …" if len(counts) > SHOWN_VALUES else ""
    values = ", ".join(f"{value}: {times:,}" for value, times in shown)
    return f"{sum(counts.values()):,} missing ({values}{more})" if counts else "none missing"
