"""Rows with flags: how many of which, and the first few in full."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cosmic.contracts.arrow_values import rows_at, values_of
from cosmic.contracts.flags import Flag

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_ROWS = 25
SHOWN = ("object_id", "partition", "row", "flags", "z_phot", "z_phot_err", "z_spec")


@dataclass
class FlaggedRows:
    """What was seen of them; holds `FIRST_ROWS` rows at most.

    Attributes:
        counts: Rows by flag; a row with two flags counts in both.
        first: The first rows in the catalogue's order, by column name.
    """

    counts: dict[str, int] = field(default_factory=lambda: {f.name or "": 0 for f in Flag})
    first: list[dict[str, Any]] = field(default_factory=list)

    def see(self, table: pa.Table) -> None:
        """Look at more rows of `catalogue.SCHEMA`."""
        flags = values_of(table["flags"])
        for flag in Flag:
            self.counts[flag.name or ""] += int(np.count_nonzero(flags & flag))
        wanted = np.flatnonzero(flags)[: FIRST_ROWS - len(self.first)]
        if len(wanted):
            self.first += rows_at(table.select(SHOWN), wanted)
