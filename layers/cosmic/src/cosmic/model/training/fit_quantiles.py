"""The quantiles of p(z): cells grown on some objects, filled with the residuals of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from cosmic.model.domain import Domain
from cosmic.model.pz import FEATURES, LEAF, LEVELS, QuantileTable, pz_features

CELLS = 16  # of complete objects, at most
INCOMPLETE_CELLS = 6
OBJECTS_PER_CELL = 100  # at least, of those that the cells are grown on and of those that fill them
FEWEST = 40  # residuals from which 2.5 % and 97.5 % can be told
FLOOR = 0.003  # residuals below it are all the same to the tree
SEED = 0

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Residuals:
    """Objects with both redshifts, as the cells see them.

    Attributes:
        features: What the cells are told apart by (N, 4) float32.
        values: (z_spec - z_phot) / (1 + z_phot) (N,) float64.
        object_id: (N,).
    """

    features: NDArray[np.float32]
    values: Float
    object_id: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, chosen: NDArray[Any] | slice) -> Residuals:
        """Some of the objects, by index, mask or slice."""
        return Residuals(**{name: column[chosen] for name, column in vars(self).items()})

    @classmethod
    def none(cls) -> Residuals:
        """Those of no objects."""
        return cls(np.empty((0, len(FEATURES)), np.float32), np.empty(0), np.empty(0, np.int64))

    @classmethod
    def together(cls, parts: Sequence[Residuals]) -> Residuals:
        """The objects of all parts."""
        columns = [[getattr(part, name) for part in parts] for name in vars(parts[0])]
        return cls(*map(np.concatenate, columns))


def residuals_of(
    domain: Domain,
    z_phot: NDArray[np.float32],
    columns: Mapping[str, NDArray[Any]],
    *,
    incomplete: bool = False,
) -> Residuals:
    """What a model's redshifts leave, for `fit_quantiles`.

    Args:
        domain: Of the model.
        z_phot: Its redshifts (N,); objects without one are left out.
        columns: `mag`, as the model was given it, `z_spec` and `object_id` of the objects.
        incomplete: Whether the objects lack a band or a pixel.
    """
    z, lacking = z_phot.astype(np.float64), np.full(len(z_phot), incomplete)
    features = pz_features(z_phot, domain.place(columns["mag"]), lacking)
    found = Residuals(features, (columns["z_spec"] - z) / (1 + z), columns["object_id"])
    return found.take(np.isfinite(found.values))


def fit_quantiles(
    grown_on: Residuals, real: Residuals, drawn: Residuals | None = None
) -> QuantileTable | None:
    """Grow the cells, and fill each with the quantiles of its residuals.

    Args:
        grown_on: Objects whose errors the cells are to tell apart; none of those that fill them.
        real: What is calibrated for: a cell with enough of these holds them alone.
        drawn: Simulated objects, for cells where there are not enough real ones.

    Returns:
        The table, or None if there are fewer complete objects than it takes (`FEWEST`).
    """
    pool = real if drawn is None else Residuals.together([real, drawn])
    if np.count_nonzero(pool.features[:, 0] == 0) < FEWEST:
        return None
    return filled(
        _joined(_tree(grown_on, 0, CELLS), _tree(grown_on, 1, INCOMPLETE_CELLS)), real, pool
    )


def filled(table: QuantileTable, real: Residuals, pool: Residuals) -> QuantileTable:
    """The same cells with the quantiles of other residuals.

    Args:
        real: Of a cell with `OBJECTS_PER_CELL` of these, nothing else counts.
        pool: All objects. A cell with fewer than `FEWEST` takes those of all cells of its kind.
    """
    of_real, of_pool = table.cells(real.features), table.cells(pool.features)
    incomplete = pool.features[:, 0] > 0
    quantiles, objects = np.empty_like(table.residuals), np.empty_like(table.objects)
    for cell in range(len(objects)):
        values = real.values[of_real == cell]
        if len(values) < OBJECTS_PER_CELL:
            values = pool.values[of_pool == cell]
        if len(values) < FEWEST:
            values = pool.values[incomplete == (cell in _incomplete_cells(table))]
        if len(values) < FEWEST:
            values = pool.values
        quantiles[cell], objects[cell] = conformal_quantiles(values), len(values)
    return QuantileTable(table.feature, table.threshold, table.next, quantiles, objects)


def conformal_quantiles(values: Float) -> Float:
    """The order statistics of N values at `LEVELS`, outwards of the middle, of N + 1.

    So the next value lies between two of them that are symmetric about the middle with at least
    the stated probability if all N + 1 are exchangeable (Vovk et al. 2005).
    """
    ordered, places = np.sort(values), (len(values) + 1) * LEVELS
    rank = np.select([LEVELS < 0.5, LEVELS > 0.5], [np.floor(places), np.ceil(places)], places)
    found: Float = ordered[np.clip(np.round(rank).astype(np.int64), 1, len(values)) - 1]
    return found


def _incomplete_cells(table: QuantileTable) -> set[int]:
    """The cells right of the root, which tells incomplete objects from complete ones."""
    right = int(table.next[0, 1])
    nodes = np.arange(len(table.feature)) >= right
    return set(table.next[nodes & (table.feature == LEAF), 0].tolist())


def _tree(grown_on: Residuals, incomplete: int, cells: int) -> QuantileTable:
    """The cells of complete or of incomplete objects, empty."""
    some = grown_on.take(grown_on.features[:, 0] == incomplete)
    if len(some) < 2 * OBJECTS_PER_CELL:
        return _empty(np.array([LEAF]), np.zeros(1), np.zeros((1, 2)), 1)
    seen = some.features[:, 1:2] if incomplete else some.features[:, 1:]
    spread = np.log(np.abs(some.values) + FLOOR)
    grower = DecisionTreeRegressor(
        max_leaf_nodes=cells, min_samples_leaf=OBJECTS_PER_CELL, random_state=SEED
    ).fit(seen, spread)
    t = grower.tree_
    leaf = t.children_left == -1
    number = (np.cumsum(leaf) - 1)[:, None]
    children = np.column_stack([t.children_left, t.children_right])
    after = np.where(leaf[:, None], number, children)
    return _empty(np.where(leaf, LEAF, t.feature + 1), t.threshold, after, int(leaf.sum()))


def _joined(complete: QuantileTable, incomplete: QuantileTable) -> QuantileTable:
    """One tree whose root tells incomplete objects from complete ones."""
    first, second = 1, 1 + len(complete.feature)
    moved = [
        tree.next + np.where(tree.feature == LEAF, cells, nodes)[:, None]
        for tree, nodes, cells in (
            (complete, first, 0),
            (incomplete, second, len(complete.objects)),
        )
    ]
    return _empty(
        np.concatenate([[0], complete.feature, incomplete.feature]),
        np.concatenate([[0.5], complete.threshold, incomplete.threshold]),
        np.concatenate([[[first, second]], *moved]),
        len(complete.objects) + len(incomplete.objects),
    )


def _empty(feature: Any, threshold: Any, after: Any, cells: int) -> QuantileTable:
    return QuantileTable(
        np.ascontiguousarray(feature, np.int64),
        np.ascontiguousarray(threshold, np.float32),
        np.ascontiguousarray(after, np.int64),
        np.zeros((cells, len(LEVELS)), np.float32),
        np.zeros(cells, np.int64),
    )
