"""What rank 0 writes of the closing collective: the sums, and all ranks' rows where they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from cosmic.contracts.bands import Bands
from cosmic.contracts.contract import Contract
from cosmic.contracts.shard import joined
from cosmic.metrics.statistics import Statistics
from cosmic.storage.run_store import RunStore


class CollectiveRecord(Contract):
    """What rank 0 knows after the closing collective.

    Attributes:
        reduced: The sums over all ranks, as `Statistics.named` gives them.
        dz_counts: The histogram, as `Statistics.counts` gives it.
        shard_sha256: Of each rank's shard as it was gathered, by rank; empty if none were.
        gathered_sha256: Of the one object of all rows; None: none were.
    """

    version: Literal[2] = 2
    reduced: dict[str, float]
    dz_counts: dict[int, int] = Field(strict=False)
    shard_sha256: tuple[str, ...] = Field(strict=False)
    gathered_sha256: str | None = None

    @model_validator(mode="after")
    def _restorable(self) -> Self:
        try:
            Statistics.restored(self.reduced, self.dz_counts)
        except (KeyError, IndexError, OverflowError) as error:
            raise ValueError(f"these are not the sums of a run: {error}") from error
        return self

    @property
    def statistics(self) -> Statistics:
        """The statistics of all ranks' rows, as FMI added them up."""
        return Statistics.restored(self.reduced, self.dz_counts)


_ADAPTER = TypeAdapter(CollectiveRecord)


def parse_collective(text: bytes) -> CollectiveRecord:
    """Read what rank 0 wrote.

    Raises:
        pydantic.ValidationError: the text is not such a record.
    """
    return _ADAPTER.validate_json(text)


def write_gathered(
    run: RunStore,
    statistics: Statistics,
    shards: Sequence[bytes],
    id_bytes: int | None,
    bands: Bands,
) -> None:
    """Write what rank 0 gathered: all rows as one object, then the record that vouches for it."""
    digests = tuple(hashlib.sha256(shard).hexdigest() for shard in shards)
    gathered = joined(shards, id_bytes, bands) if shards else None
    record = CollectiveRecord(
        reduced=statistics.named(),
        dz_counts=statistics.counts(),
        shard_sha256=digests,
        gathered_sha256=hashlib.sha256(gathered).hexdigest() if gathered is not None else None,
    )
    run.write_collective(record.model_dump_json(indent=1).encode(), gathered)
