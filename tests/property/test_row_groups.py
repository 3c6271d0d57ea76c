"""However rows are shared among ranks, they are written and counted in the same groups."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmic.contracts.catalogue_columns import Rows, catalogue_rows
from cosmic.contracts.quantiles import QUANTILES
from cosmic.results.catalogue_files import CatalogueWriter, row_groups
from cosmic.results.merge import Merged

ROWS, GROUP = 500, 64
ORIGIN: dict[str, str | int] = {"cosmic.run": "run", "cosmic.rowsout": ROWS}


class Memory(io.BytesIO):
    """A file in memory."""

    def write_start(self, data: bytes) -> None:
        """Replace the first bytes."""
        self.getbuffer()[: len(data)] = data


@pytest.fixture(scope="module")
def rows() -> Rows:
    draw = np.random.default_rng(3)
    z = draw.uniform(0.01, 0.6, ROWS).astype(np.float32)
    known = np.where(draw.random(ROWS) < 0.8, z, np.nan)
    columns: dict[str, np.ndarray] = {
        "object_id": draw.integers(1, 1 << 62, ROWS),
        "ra": draw.uniform(0, 360, ROWS),
        "dec": draw.uniform(-90, 90, ROWS),
        "mag": draw.normal(18, 1, (ROWS, 5)).astype(np.float32),
        "mag_err": draw.uniform(0.01, 0.1, (ROWS, 5)).astype(np.float32),
        "z_spec": (known + draw.normal(0, 0.02, ROWS)).astype(np.float32),
    }
    flags = draw.integers(0, 2, ROWS).astype(np.int32)
    quantiles = z[:, None] + draw.normal(0, 0.01, (ROWS, len(QUANTILES))).astype(np.float32)
    width = z * np.float32(0.1)
    return catalogue_rows(columns, z, width, quantiles, flags, partition=0, start=0)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmic.results.catalogue_files.ROW_GROUP_ROWS", GROUP)


def merged(blocks: list[Rows]) -> tuple[bytes, bytes, Merged]:
    """Both files, and what was counted."""
    parquet, fits, found = Memory(), Memory(), Merged()
    with CatalogueWriter(parquet, fits, ORIGIN) as writer:
        for group in row_groups(blocks):
            writer.write(group)
            found.see(group)
        writer.finish(ORIGIN)
    return parquet.getvalue(), fits.getvalue(), found


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, ROWS), max_size=9))
def test_files_and_metrics_do_not_depend_on_how_rows_are_shared(
    rows: Rows, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), ROWS]
    shards = [rows[a:b] for a, b in itertools.pairwise(edges)]
    *files, found = merged(shards)
    *expected, whole = merged([rows])
    assert files == expected
    assert found.photo_z.metrics() == whole.photo_z.metrics()
    assert np.array_equal(found.statistics.sums, whole.statistics.sums)
    assert found.counts.binned() == whole.counts.binned()
    assert (found.rows, found.flagged) == (ROWS, whole.flagged)


def test_no_rows_make_no_group(rows: Rows) -> None:
    assert list(row_groups([])) == []
    assert list(row_groups([rows[:0]])) == []
    assert [g.num_rows for g in row_groups([rows])] == [GROUP] * (ROWS // GROUP) + [ROWS % GROUP]
