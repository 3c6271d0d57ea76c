"""Objects to write with other tools, and what `cosmic data pack` makes of the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from cosmic.data.pack.choices import Choices
from cosmic.data.pack.opening import files_of
from cosmic.data.pack.pack import pack

Columns = dict[str, NDArray[Any]]


@pytest.fixture
def objects(make_columns: Callable[..., Columns]) -> Columns:
    """Seven objects with pixels of whole thousandths, so that they fit scaled integers."""
    made = make_columns(7, size=8)
    fainter = 2
    made["mag"] += fainter
    made["image"] *= 10 ** (-0.4 * fainter)
    made["image"] = (np.round(made["image"] * 1000) / 1000).astype(np.float32)
    return made


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Columns]:
    """`packed(path, Choices(...))`: the columns that a file becomes."""

    def columns(
        path: Path, choices: Choices | None = None, *, check_pixels: bool = True
    ) -> Columns:
        out, chosen = tmp_path / "packed", choices or Choices()
        pack(files_of([path]), out, chosen, partition_bytes=1 << 20, check_pixels=check_pixels)
        found: Columns = load_file(out / "0.safetensors")
        return found

    return columns
