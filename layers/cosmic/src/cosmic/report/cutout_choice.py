"""Which objects the page shows as cutouts, chosen while the catalogue's rows pass.

The choice depends on the rows alone, not on how they are shared or in which groups they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.catalogue_schema import redshifts_of
from cosmic.metrics.photo_z import comparable, residuals

if TYPE_CHECKING:
    import pyarrow as pa

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

    def see(self, table: pa.Table) -> None:
        """Look at more rows of the catalogue's schema."""
        z_phot, z_spec, _ = redshifts_of(table)
        names = ("partition", "row", "flags")
        partition, row, flags = (table[name].to_numpy().astype(np.int64) for name in names)
        mixed = _mixed(partition, row)
        both = comparable(z_phot, z_spec)
        dz = np.full(len(z_phot), -1.0)
        dz[both] = np.abs(residuals(z_phot[both], z_spec[both]))
        self._keep(WORST, table, dz, dz >= 0)
        self._keep(FLAGGED, table, mixed, flags != 0)
        self._keep(RANDOM, table, mixed, np.ones(len(mixed), bool))

    def chosen(self) -> list[Chosen]:
        """All of them, by group; an object may stand in two."""
        return [one for best in self._best.values() for _, one in best]

    def _keep(
        self, group: str, table: pa.Table, value: NDArray[np.float64], of: NDArray[np.bool_]
    ) -> None:
        """Keep those with the largest values; equal ones by partition and row."""
        at = np.flatnonzero(of)
        best = self._best[group]
        if len(best) == EACH:
            at = at[value[at] >= best[-1][0]]
        if len(at) > EACH:
            least = np.partition(value[at], len(at) - EACH)[len(at) - EACH]
            at = at[value[at] >= least]
        at = at[np.argsort(-value[at], kind="stable")][:EACH]
        rows = table.take(at).to_pylist() if len(at) else []
        best += [(float(value[i]), _chosen(group, r)) for i, r in zip(at, rows, strict=True)]
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


def _mixed(partition: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each place (N,), as good as drawn and always the same."""
    mixed = partition.astype(np.uint64) << np.uint64(40) ^ row.astype(np.uint64)
    for shift in (np.uint64(31), np.uint64(29), np.uint64(32)):
        mixed = (mixed + np.uint64(1)) * GOLDEN
        mixed ^= mixed >> shift
    return (mixed >> np.uint64(11)) / 2.0**53
