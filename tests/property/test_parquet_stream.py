"""Writers one after another write what a single one would, to the last byte."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmic.results import parquet_stream
from cosmic.results.parquet_footer import taken_apart
from cosmic.results.parquet_stream import ParquetStream

SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("number", pa.int64()),
        pa.field("values", pa.list_(pa.float32(), 3)),
        pa.field("yes", pa.bool_()),
    ],
    metadata={"about": "é"},
)
OPTIONS: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["name"]}
METADATA = {"cosmic.run": "run", "cosmic.rowsout": "7"}


class Memory(io.BytesIO):
    """A file in memory."""

    def write_start(self, data: bytes) -> None:
        """Replace the first bytes."""
        self.getbuffer()[: len(data)] = data


def table(rows: int, seed: int) -> pa.Table:
    draw = np.random.default_rng(seed)
    columns = [
        [f"object {n}" for n in draw.integers(0, 5, rows)],
        [None if n % 7 == 0 else int(n) for n in draw.integers(0, 1 << 40, rows)],
        [[float(x) for x in draw.random(3)] for _ in range(rows)],
        [bool(n) for n in draw.integers(0, 2, rows)],
    ]
    return pa.table(columns, schema=SCHEMA)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 17))
def test_the_file_is_that_of_one_writer(sizes: list[int], groups: int) -> None:
    tables = [table(rows, seed) for seed, rows in enumerate(sizes)]
    ours, theirs = Memory(), io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_stream, "GROUPS", groups)
        stream = ParquetStream(ours, SCHEMA, **OPTIONS)
        for each in tables:
            stream.write(each)
        stream.add_metadata(METADATA)
        stream.close()
    with pq.ParquetWriter(theirs, SCHEMA, **OPTIONS) as writer:
        for each in tables:
            writer.write_table(each)
        writer.add_key_value_metadata(METADATA)
    assert ours.getvalue() == theirs.getvalue()


def test_a_footer_that_is_cut_off_is_refused() -> None:
    file = io.BytesIO()
    pq.write_table(table(10, 0), file)
    data = file.getvalue()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    whole = taken_apart(footer)
    assert whole.groups_count == 1
    for length in (0, 1, len(whole.before) // 2, len(whole.before) + len(whole.groups) // 2):
        with pytest.raises(ValueError, match="cut off"):
            taken_apart(footer[:length])
