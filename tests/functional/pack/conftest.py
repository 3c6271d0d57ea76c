"""Objects to write with other tools, and what `cosmic data pack` makes of the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from cosmic.data.pack.columns import Choices
from cosmic.data.pack.opening import files_of
from cosmic.data.pack.pack import pack

Columns = dict[str, NDArray[Any]]


@pytest.fixture
def objects(make_columns: Callable[..., Columns]) -> Columns:
    """Seven objects with pixels of whole thousandths, so that they fit scaled integers."""
    made = make_columns(7, size=8)
    made["image"] = (np.round(made["image"] * 1000) / 1000).astype(np.float32)
    return made


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Columns]:
    """`packed(path, Choices(...))`: the columns that a file becomes."""

    def columns(path: Path, choices: Choices | None = None) -> Columns:
        out = tmp_path / "packed"
        pack(files_of([path]), out, choices or Choices(), partition_bytes=1 << 20)
        found: Columns = load_file(out / "0.safetensors")
        return found

    return columns
