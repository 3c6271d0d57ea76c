"""One table over the catalogues of all runs, read as query engines read it: by Hive's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cosmic.contracts.catalogue_columns import catalogue_rows
from cosmic.contracts.catalogue_schema import table_of
from cosmic.contracts.plan import Plan
from cosmic.contracts.quantiles import QUANTILES
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.table import SCHEMA, place_in_table, write_table_rows
from cosmic.storage.local import LocalOutput
from plan_support import small_plan

ROWS = 70_000  # more than one row group


def plan(run: str, planned_at: str | None) -> Plan:
    return small_plan([1], run=run, planned_at=planned_at)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs' rows where the bucket has them: one with text ids, one with numbers."""
    folder = tmp_path_factory.mktemp("bucket")
    for run, day, ids in (
        ("deep-0123456789ab", "2026-11-27", np.arange(ROWS)),
        ("wide-ba9876543210", "2026-11-28", np.array([f"J{i}".encode() for i in range(5)])),
    ):
        rows = len(ids)
        columns: dict[str, Any] = {
            "object_id": ids,
            "ra": np.full(rows, 10.0),
            "dec": np.zeros(rows),
            "mag": np.full((rows, 5), 18, np.float32),
            "mag_err": np.full((rows, 5), 0.1, np.float32),
        }
        z = np.linspace(0.1, 0.2, rows, dtype=np.float32)
        error, flags = np.full(rows, 0.01, np.float32), np.zeros(rows, np.int32)
        quantiles = np.full((rows, len(QUANTILES)), np.nan, np.float32)
        made = catalogue_rows(columns, z, error, quantiles, flags, partition=0, start=0)
        text = ids.dtype.itemsize if ids.dtype.kind == "S" else None
        with (
            LocalOutput(folder / "c.parquet") as parquet,
            LocalOutput(folder / "c.fits") as fits,
            CatalogueWriter(parquet, fits, {"cosmic.run": run}, text) as writer,
        ):
            writer.write(table_of(made))
            writer.finish({"cosmic.run": run})
        at = place_in_table("b", "catalogues/", plan(run, f"{day}T23:59:00+00:00"), 0.0)
        (folder / at.key).parent.mkdir(parents=True)
        write_table_rows(folder / "c.parquet", run, folder / at.key)
    return folder / "catalogues"


def test_all_runs_are_one_table_whatever_their_ids(table: Path) -> None:
    rows = ds.dataset(table, partitioning="hive").to_table()
    assert rows.schema.names == [*SCHEMA.names, "day"]
    found = rows.group_by("run").aggregate([("object_id", "count"), ("z_phot", "max")])
    counts = zip(found["run"].to_pylist(), found["object_id_count"].to_pylist(), strict=True)
    assert dict(counts) == {"deep-0123456789ab": ROWS, "wide-ba9876543210": 5}
    assert set(rows.filter(pc.field("run") == "wide-ba9876543210")["object_id"].to_pylist()) == {
        f"J{i}" for i in range(5)
    }


def test_a_day_is_read_alone(table: Path) -> None:
    dataset = ds.dataset(table, partitioning="hive")
    read = list(dataset.get_fragments(filter=pc.field("day") == "2026-11-28"))
    assert [Path(fragment.path).name for fragment in read] == ["wide-ba9876543210.parquet"]


def test_every_file_of_the_table_has_its_schema(table: Path) -> None:
    for path in table.rglob("*.parquet"):
        assert pq.read_schema(path).equals(SCHEMA)


def test_a_run_has_one_place_whenever_its_executions_start() -> None:
    dated = plan("r-0123456789ab", "2026-11-27T23:59:59.999+00:00")
    places = {place_in_table("b", "t/", dated, started) for started in (0.0, 2e9)}
    assert {at.key for at in places} == {"t/day=2026-11-27/r-0123456789ab.parquet"}


def test_a_plan_of_an_earlier_version_has_the_day_of_its_execution() -> None:
    at = place_in_table("b", "t/", plan("r-0123456789ab", None), 86_400.0)
    assert at.key == "t/day=1970-01-02/r-0123456789ab.parquet"
