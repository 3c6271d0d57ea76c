"""Data sets: recipes that can't be made are refused; partitions have the sizes the field uses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cosmic.data.synth import dataset
from cosmic.data.synth.dataset import Sample, bounds, objects_per_partition, rows, write_dataset
from cosmic.errors import InputError
from cosmic_cli.commands.data import app
from cosmic_cli.input_options import parse_size


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"population": "stars", "objects": 1}, "'stars'"),
        ({"population": "mock", "objects": 1, "split": "half"}, "'half'"),
        ({"population": "mock", "objects": 1, "seed": -1}, "-1"),
        ({"population": "mock", "objects": 1, "seed": 10**6}, "1000000"),
        ({"population": "mock", "objects": 0}, "0 objects"),
        ({"population": "mock"}, "number of objects"),
        ({"population": "mock", "objects": 1, "image_size": 0}, "image size is 0"),
        ({"population": "catalog", "objects": 5000}, "from 1 to 19"),
    ],
)
def test_a_recipe_that_cannot_be_made_is_refused(recipe: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Sample(**recipe)


def test_rows_beyond_the_end_are_refused() -> None:
    with pytest.raises(InputError, match="90 to 101 of 100"):
        rows(Sample("mock", 100), 90, 101)


@pytest.mark.parametrize(
    ("size", "objects"), [("25MB", 1278), ("100MB", 5113), ("25 mb", 1278), ("20508", 1)]
)
def test_partitions_hold_as_many_objects_as_the_field_counts(size: str, objects: int) -> None:
    assert objects_per_partition(parse_size(size)) == objects


@pytest.mark.parametrize("text", ["", "25 parsec", "-1MB", "0MB", "1.5MB", "MB", "1TB"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="size is"):
        parse_size(text)


def test_a_partition_too_small_for_one_object_is_refused() -> None:
    with pytest.raises(InputError, match="20507 bytes"):
        objects_per_partition(20_507)
    with pytest.raises(InputError, match="0 objects"):
        bounds(10, 0)


def test_all_of_the_catalog_can_be_made_and_the_last_partition_is_shorter(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    sample = Sample("catalog", image_size=2)
    files = write_dataset(tmp_path, sample, 500, progress=lambda *p: seen.append(p))
    n = len(sample)
    assert len(files) == -(-n // 500)
    assert seen == [(min(500 * (i + 1), n), n) for i in range(len(files))]


def test_columns_are_those_of_a_native_partition() -> None:
    columns = rows(Sample("legacy", 3), 0, 3)
    assert {n: (str(c.dtype), c.shape) for n, c in columns.items()} == {
        "image": ("float32", (3, 5, 32, 32)),
        "mag": ("float32", (3, 5)),
        "mag_err": ("float32", (3, 5)),
        "object_id": ("int64", (3,)),
        "ra": ("float64", (3,)),
        "dec": ("float64", (3,)),
        "z_spec": ("float32", (3,)),
    }
    assert all(np.isfinite(c).all() for c in columns.values())


def test_the_command_writes_partitions_and_says_what_they_are(tmp_path: Path) -> None:
    out = tmp_path / "data"
    asked = ["synth", "--out", str(out), "--population", "mock", "--objects", "70"]
    result = CliRunner().invoke(app, [*asked, "--per-partition", "32", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["objects"], found["partitions"]) == (70, 3)
    assert found["bytes"] == sum(p.stat().st_size for p in out.iterdir())
    assert found["pixels"] == "simulated"


@pytest.mark.process
def test_the_shipped_tables_are_what_derive_makes(tmp_path: Path) -> None:
    out = tmp_path / "not" / "there yet"
    cosmic = Path(sys.executable).with_name("cosmic")
    command = [str(cosmic), "data", "derive", "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"out": str(out), "read": 10_000, "kept": 9_963}
    assert sorted(p.name for p in out.iterdir()) == ["galaxies.parquet", "templates.parquet"]
    for made in out.iterdir():
        shipped = pq.read_table(Path(dataset.__file__).with_name(made.name))
        table = pq.read_table(made)
        assert table.schema == shipped.schema
        for name in shipped.column_names:
            np.testing.assert_allclose(table[name], shipped[name], rtol=1e-5, err_msg=name)
