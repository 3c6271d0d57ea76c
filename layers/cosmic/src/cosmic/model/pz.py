"""p(z): quantiles of an object's redshift, calibrated by split conformal prediction.

The residuals (z_spec - z_phot) / (1 + z_phot) of objects that training never saw are sorted into
cells by z_phot, magnitude and log density of the training objects (the distance to the domain);
objects that lack a band or a pixel have cells of their own, by z_phot. An object's quantiles are
those of the residuals in its cell, moved to its z_phot. Quantiles of n residuals are their order
statistics with n + 1 in place of n, so a new object like those of a cell lies between two of them
with the stated probability, to 1 / (n + 1), whatever the model and the distribution.

Sources: split conformal prediction by categories is Mondrian conformal prediction (Vovk, Gammerman
& Shafer 2005, *Algorithmic Learning in a Random World*, section 4.5; Lei et al. 2018, JASA 113,
1094, for the quantiles of residuals). That the cells are the leaves of a regression tree, grown on
other objects than those whose residuals fill them, follows Cabezas et al. 2024 (arXiv 2402.07357).

The tree is grown with scikit-learn in training (`cosmic.model.training.fit_quantiles`); here it is
only walked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.quantiles import QUANTILES
from cosmic.data.checkpoint_header import PZ, refused
from cosmic.model.domain import Place

FEATURES = ("incomplete", "z_phot", "magnitude", "log_density")
TENSORS = ("pz.feature", "pz.threshold", "pz.next", "pz.residuals", "pz.objects")
LEVELS = np.array(list(QUANTILES.values()))
LEAF = -1


@dataclass(frozen=True)
class QuantileTable:
    """A tree of K nodes whose leaves are C cells with the quantiles of their residuals.

    Attributes:
        feature: Which of `FEATURES` a node looks at (K,) int64; `LEAF` if it is a leaf.
        threshold: Objects with a larger feature go right (K,) float32.
        next: Nodes to the left and right (K, 2) int64, each behind the node itself; of a leaf its
            cell, twice.
        residuals: Quantiles of (z_spec - z_phot) / (1 + z_phot) at `LEVELS` (C, 9) float32.
        objects: How many residuals they are of (C,) int64.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    next: NDArray[np.int64]
    residuals: NDArray[np.float32]
    objects: NDArray[np.int64]

    def quantiles(
        self, z_phot: NDArray[np.float32], place: Place, incomplete: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Quantiles of p(z) (N, 9) float32, rising; NaN where z_phot is.

        Args:
            z_phot: Redshifts (N,).
            place: Where the objects lie in the domain.
            incomplete: Which of them lack a band or a pixel (N,).
        """
        z = z_phot.astype(np.float64)[:, None]
        residuals = self.residuals[self.cells(pz_features(z_phot, place, incomplete))]
        made: NDArray[np.float32] = (z + (1 + z) * residuals).astype(np.float32)
        return made

    def cells(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """The cell (N,) of each object with these features (N, 4)."""
        node, each = np.zeros(len(features), np.int64), np.arange(len(features))
        # A node's successors lie behind it (checked when it is read), so this comes to an end.
        while (inner := self.feature[node] != LEAF).any():
            right = features[each, self.feature[node]] > self.threshold[node]
            node = np.where(inner, self.next[node, right.astype(np.int64)], node)
        found: NDArray[np.int64] = self.next[node, 0]
        return found

    def facts(self) -> dict[str, Any]:
        """What a model's card says of it, as JSON."""
        return {
            "method": "split conformal in cells",
            "features": list(FEATURES),
            "levels": LEVELS.tolist(),
            "cells": len(self.objects),
            "fewest_objects_in_a_cell": int(self.objects.min()),
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Its numbers, as a checkpoint keeps them by name."""
        columns = (self.feature, self.threshold, self.next, self.residuals, self.objects)
        return dict(zip(TENSORS, columns, strict=True))


def pz_features(
    z_phot: NDArray[np.float32], place: Place, incomplete: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """What the cells are told apart by (N, 4), by `FEATURES`; arguments as `quantiles`."""
    columns = (incomplete, z_phot, place.magnitude, place.log_density)
    return np.column_stack([np.asarray(column, np.float32) for column in columns])


def read_quantiles(
    metadata: dict[str, str], tensors: dict[str, NDArray[Any]]
) -> QuantileTable | None:
    """The table that a checkpoint has, if it has one.

    Args:
        metadata: Of the checkpoint.
        tensors: All of its tensors by name.

    Raises:
        InputError: it has part of one, or one that can't be.
    """
    if PZ not in metadata and not set(TENSORS) & set(tensors):
        return None
    try:
        facts = json.loads(metadata[PZ])
        table = QuantileTable(*(tensors[name].copy() for name in TENSORS))
        if facts["features"] != list(FEATURES) or facts["levels"] != LEVELS.tolist():
            raise ValueError(f"features {facts['features']}, levels {facts['levels']}")
        _check(table)
    except (KeyError, TypeError, ValueError) as error:
        raise refused(f"its quantiles of p(z) can't be read: {error!r}") from error
    return table


def _check(table: QuantileTable) -> None:
    """Refuse a tree that leads astray, and quantiles that are none."""
    nodes, cells = len(table.feature), len(table.objects)
    wanted = {
        "feature": (np.int64, (nodes,)),
        "threshold": (np.float32, (nodes,)),
        "next": (np.int64, (nodes, 2)),
        "residuals": (np.float32, (cells, len(LEVELS))),
        "objects": (np.int64, (cells,)),
    }
    for name, (dtype, shape) in wanted.items():
        column = getattr(table, name)
        if column.dtype != dtype or column.shape != shape:
            raise ValueError(f"{name} is {column.dtype} {list(column.shape)}")
    leaf = table.feature == LEAF
    behind = np.arange(nodes)[:, None] < table.next
    inside = (table.next >= 0) & (table.next < np.where(leaf, cells, nodes)[:, None])
    if not nodes or not inside.all() or not (behind | leaf[:, None]).all():
        raise ValueError("its tree is not valid")
    if not (leaf | ((table.feature >= 0) & (table.feature < len(FEATURES)))).all():
        raise ValueError("its tree looks at unknown features")
    if not np.isfinite(table.residuals).all() or (np.diff(table.residuals) < 0).any():
        raise ValueError("its quantiles don't rise")
