"""Requests are counted by where the columns of a real partition lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cosmic.contracts.columns import Header
from cosmic.costs.counts import reads_of_block
from cosmic.costs.workload import of_folder
from cosmic.data.formats import read_header
from cosmic.data.native import write_partition
from cosmic.data.ranges import PART_BYTES, spans

ROWS = 400


@pytest.mark.parametrize("id_bytes", [None, 1, 24, 64])
@pytest.mark.parametrize("rows", [1, 64, 256, ROWS])
def test_a_block_takes_the_requests_that_its_columns_take(
    id_bytes: int | None,
    rows: int,
    make_columns: Callable[..., dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    columns = make_columns(ROWS, size=8)
    if id_bytes is not None:
        columns["object_id"] = np.full(ROWS, "x" * id_bytes, f"S{id_bytes}")
    path = tmp_path / "0.safetensors"
    write_partition(path, columns)
    data = path.read_bytes()
    header = read_header("safetensors", lambda at, n: data[at : at + n], len(data), "it")
    assert isinstance(header, Header)
    start = (ROWS - rows) // 2
    found = spans({n: t.byte_range(start, start + rows) for n, t in header.tensors.items()})
    made = sum(math.ceil(span.length / PART_BYTES) for span in found)
    assert header.id_bytes == id_bytes
    assert reads_of_block(rows, ROWS, header.row_bytes, id_bytes) == made
    assert of_folder(tmp_path).job.id_bytes == id_bytes
