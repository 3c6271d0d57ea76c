"""What `aggregate` takes to write a HATS collection, at most."""

from __future__ import annotations

from cosmic.contracts.bands import Bands
from cosmic.contracts.catalogue_columns import row_dtype
from cosmic.contracts.text_ids import MOST_BYTES

ROW_S = 4.5e-6


def hats_s(rows: int) -> float:
    """How long it takes for so many rows."""
    return rows * ROW_S


def hats_scratch_mb(rows: int, bands: Bands) -> float:
    """What the rows take of the scratch folder, if ids are the longest texts that there may be."""
    return rows * row_dtype(MOST_BYTES, bands).itemsize / 2**20
