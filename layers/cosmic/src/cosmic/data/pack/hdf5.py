"""HDF5: datasets side by side, in the root or in its only group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmic.data.pack.source import Field, Source, unreadable


def open_hdf5(path: Path) -> Source:
    """A file of datasets whose first axes are rows; also as MultimodalUniverse lays them out.

    Raises:
        InputError: it is no HDF5 file, or its datasets are not equally long.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, error) from error
    datasets = _datasets(file)
    rows = {d.shape[0] for d in datasets.values()}
    if len(rows) != 1:
        shapes = {name: list(d.shape) for name, d in datasets.items()}
        file.close()
        raise unreadable(path, f"its datasets are not equally long: {shapes}")
    fields = {name: _field(dataset) for name, dataset in datasets.items()}
    return Source(path, "hdf5", rows.pop(), fields, _attributes(file), file.close)


def _datasets(file: Any) -> dict[str, Any]:
    """Those of the root; or, if it has none and one group, those of that group."""
    found = {k: d for k, d in file.items() if isinstance(d, h5py.Dataset) and d.shape}
    groups = [g for g in file.values() if isinstance(g, h5py.Group)]
    return found if found or len(groups) != 1 else _datasets(groups[0])


def _field(dataset: Any) -> Field:
    unit = dataset.attrs.get("unit", dataset.attrs.get("units", ""))
    text = unit.decode() if isinstance(unit, bytes) else str(unit)
    shape = tuple(dataset.shape[1:])
    return Field(str(dataset.dtype), shape, lambda a, b: np.asarray(dataset[a:b]), text)


def _attributes(file: Any) -> dict[str, str]:
    return {name: str(value) for name, value in file.attrs.items()}
