"""Rows with their predictions, on their way into a shard or to the rank whose rows they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import Bands
from cosmic.contracts.catalogue_columns import Rows, catalogue_rows
from cosmic.data.stream import Block
from cosmic.model.engine import Predictions


@dataclass(frozen=True)
class PredictionBlock:
    """Consecutive rows of one partition; `columns` are all but the image."""

    partition: int
    start: int
    columns: dict[str, NDArray[Any]]
    z_phot: NDArray[np.float32]
    z_phot_err: NDArray[np.float32]
    z_quantiles: NDArray[np.float32]
    flags: NDArray[np.int32]

    @classmethod
    def of(cls, block: Block, predictions: Predictions) -> Self:
        """The first rows of a block, as many as have predictions."""
        rows = len(predictions.z_phot)
        columns = {name: c[:rows] for name, c in block.columns.items() if name != "image"}
        return cls(block.partition, block.start, columns, **vars(predictions))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.z_phot)

    def catalogue_rows(self, bands: Bands) -> Rows:
        """The rows of a catalogue of these bands."""
        return catalogue_rows(
            self.columns,
            self.z_phot,
            self.z_phot_err,
            self.z_quantiles,
            self.flags,
            partition=self.partition,
            start=self.start,
            bands=bands,
        )

    def detached(self) -> PredictionBlock:
        """A copy, which doesn't keep the block's images in memory."""
        return PredictionBlock(**self.message())

    def message(self) -> dict[str, Any]:
        """What `Predicted(**message)` makes the same of."""
        return asdict(self)
