"""Which objects the page shows as cutouts, chosen while the catalogue's rows pass.

The choice depends on the rows alone, not on how they are shared or in which groups they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.arrow_values import rows_at, values_of
from cosmic.metrics.photo_z import comparable, residuals

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.floating[Any]]

EACH = 6
WORST, FLAGGED, RANDOM = "largest |dz|", "flagged", "random"
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbours (Knuth 6.4)


@dataclass(frozen=True)
class Chosen:
    """A row of the catalogue, and why it is shown.

    Attributes:
        z_phot, z_spec: None where there is none.
    """

    group: str
    object_id: str
    partition: int
    row: int
    flags: int
    z_phot: float | None
    z_spec: float | None


class CutoutChoice:
    """The `EACH` rows with the largest |dz|, and as many flagged and random ones."""

    def __init__(self) -> None:
        self._best: dict[str, list[tuple[float, Chosen]]] = {WORST: [], FLAGGED: [], RANDOM: []}

    def see(self, table: pa.Table, z_phot: Floats, z_spec: Floats) -> None:
        """Look at more rows of the catalogue's schema, N of them.

        Args:
            table: The rows.
            z_phot, z_spec: Two of its columns (N,), NaN where there is none.
        """
        known = np.flatnonzero(comparable(z_phot, z_spec))
        self._keep(WORST, table, np.abs(residuals(z_phot[known], z_spec[known])), known)
        names = ("partition", "row", "flags")
        partition, row, flags = (values_of(table[name]) for name in names)
        mixed = _mixed(partition, row)
        flagged = np.flatnonzero(flags)
        self._keep(FLAGGED, table, mixed[flagged], flagged)
        self._keep(RANDOM, table, mixed, np.arange(len(mixed)))

    def chosen(self) -> list[Chosen]:
        """All of them, by group; an object may stand in two."""
        return [one for best in self._best.values() for _, one in best]

    def _keep(self, group: str, table: pa.Table, value: Floats, at: NDArray[np.int64]) -> None:
        """Keep the rows `at` with the largest values (N,); equal ones by partition and row."""
        best = self._best[group]
        if len(best) == EACH:
            wanted = np.flatnonzero(value >= best[-1][0])
        elif len(value) > EACH:
            wanted = np.flatnonzero(value >= np.partition(value, -EACH)[-EACH])
        else:
            wanted = np.arange(len(value))
        wanted = wanted[np.argsort(-value[wanted], kind="stable")][:EACH]
        rows = rows_at(table, at[wanted]) if len(wanted) else []
        best += [(float(value[i]), _chosen(group, r)) for i, r in zip(wanted, rows, strict=True)]
        best.sort(key=lambda each: (-each[0], each[1].partition, each[1].row))
        del best[EACH:]


def _chosen(group: str, row: dict[str, Any]) -> Chosen:
    return Chosen(
        group,
        str(row["object_id"]),
        row["partition"],
        row["row"],
        row["flags"],
        row["z_phot"],
        row["z_spec"],
    )


def _mixed(partition: NDArray[Any], row: NDArray[Any]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each place (N,), as good as drawn and always the same."""
    mixed = partition.astype(np.uint64) << np.uint64(40) ^ row.astype(np.uint64)
    for shift in (np.uint64(32), np.uint64(29)):
        mixed += np.uint64(1)
        mixed *= GOLDEN
        mixed ^= mixed >> shift
    return (mixed >> np.uint64(11)) / 2.0**53
