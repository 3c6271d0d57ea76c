"""Files of objects for `bench.pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table
from numpy.typing import NDArray

SIZE = 32
ROWS_AT_ONCE = 1000


def columns(start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Objects of noise; the same for the same numbers."""
    rng = np.random.default_rng(start)
    rows = stop - start
    mag = rng.uniform(15, 20, (rows, 5)).astype(np.float32)
    image = rng.normal(0, 0.01, (rows, 5, SIZE, SIZE)).astype(np.float32)
    image[:, :, SIZE // 2, SIZE // 2] += 10 ** (0.4 * (22.5 - mag))  # as bright as they say
    return {
        "image": image,
        "mag": mag,
        "mag_err": rng.uniform(0, 0.1, (rows, 5)).astype(np.float32),
        "object_id": np.arange(start, stop),
        "ra": rng.uniform(0, 360, rows),
        "dec": rng.uniform(-90, 90, rows),
        "z_spec": rng.uniform(0, 0.4, rows).astype(np.float32),
    }


def write(file: Path, objects: int) -> None:
    """A file as its format's own library writes it."""
    pieces = [
        columns(start, min(start + ROWS_AT_ONCE, objects))
        for start in range(0, objects, ROWS_AT_ONCE)
    ]
    if file.suffix == ".parquet":
        write_parquet(file, pieces)
        return
    whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    if file.suffix == ".fits":
        Table(whole).write(file)
    else:
        with h5py.File(file, "w") as made:
            for name, values in whole.items():
                made[name] = values


def write_parquet(file: Path, pieces: list[dict[str, NDArray[Any]]]) -> None:
    """A row group a piece; images and magnitudes are lists."""
    tables = [
        pa.table(
            {
                name: list(values.reshape(len(values), -1)) if values.ndim > 1 else values
                for name, values in piece.items()
            }
        )
        for piece in pieces
    ]
    with pq.ParquetWriter(file, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
