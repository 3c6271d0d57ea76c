"""A catalogue's Parquet file with rows of any positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.catalogue_columns import Rows, catalogue_rows
from cosmic.contracts.catalogue_schema import table_of
from cosmic.contracts.quantiles import QUANTILES
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.storage.local import LocalOutput

ORIGIN: dict[str, str | int] = {
    "cosmic.run": "demo-0123456789ab",
    "cosmic.dataset": "s3://b/données/",
    "cosmic.date": "2026-11-28T09:10:11+00:00",
}


def rows_at(
    ra: NDArray[np.float64], dec: NDArray[np.float64], *, text_ids: bool = False, seed: int = 0
) -> Rows:
    """Catalogue rows (N,) at these positions (N,), some of them without a prediction."""
    draw, rows = np.random.default_rng(seed), len(ra)
    z = np.where(draw.random(rows) < 0.9, draw.uniform(0.01, 0.6, rows), np.nan)
    ids: Any = np.arange(rows) * 7
    columns: dict[str, Any] = {
        "object_id": np.array([f"J{i}".encode() for i in ids]) if text_ids else ids,
        "ra": ra,
        "dec": dec,
        "mag": draw.normal(18, 1, (rows, 5)).astype(np.float32),
        "mag_err": draw.uniform(0.01, 0.1, (rows, 5)).astype(np.float32),
    }
    quantiles = z[:, None] + np.linspace(-0.03, 0.03, len(QUANTILES))
    made = (z, z * 0.1, quantiles.astype(np.float32), draw.integers(0, 2, rows))
    return catalogue_rows(columns, *made, partition=3, start=5)  # type: ignore[arg-type]


def write_catalogue(path: Path, rows: Rows, group_rows: int) -> None:
    """Write rows as `catalogue.parquet`, in groups of so many."""
    texts = rows.dtype["object_id"]
    with (
        LocalOutput(path) as parquet,
        LocalOutput(path.with_suffix(".fits")) as fits,
        CatalogueWriter(
            parquet, fits, ORIGIN, texts.itemsize if texts.kind == "S" else None
        ) as writer,
    ):
        for start in range(0, len(rows), group_rows):
            writer.write(table_of(rows[start : start + group_rows]))
        writer.finish(ORIGIN)
