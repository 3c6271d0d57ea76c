"""All ids of a data set are whole numbers, or all are text; `pack` says which, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from typer.testing import CliRunner

from cosmic.contracts.text_ids import restored_ids
from cosmic.data.native import write_partition
from cosmic_cli.commands.data import app

Columns = dict[str, NDArray[Any]]
LARGE = 2**63


def run(*words: str | Path) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def save(folder: Path, name: str, objects: Columns, ids: Any) -> None:
    """An archive of the objects with these ids; None: without any."""
    folder.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {**objects, "object_id": ids}
    np.savez(folder / name, **{n: c for n, c in arrays.items() if c is not None})


def ids_in(folder: Path) -> list[Any]:
    """What the partitions in a folder have, in order."""
    found: list[Any] = []
    for i in range(len(list(folder.glob("*.safetensors")))):
        stored = load_file(folder / f"{i}.safetensors")["object_id"]
        if stored.ndim == 1:
            found += stored.tolist()
        else:
            found += restored_ids(stored).astype(str).tolist()
    return found


def test_one_text_among_all_files_makes_all_ids_text(objects: Columns, tmp_path: Path) -> None:
    numbers = np.arange(7, dtype=np.int32)
    save(tmp_path / "in", "a.npz", objects, numbers)
    save(tmp_path / "in", "b.npz", objects, None)
    save(tmp_path / "in", "c.npz", objects, np.array([*"bcdefg", "012"]))
    done = run("pack", tmp_path / "in", "--out", tmp_path / "out", "--per-partition", "5", "--json")
    made_up = [str(1_000_000_000 + i) for i in range(7)]
    assert ids_in(tmp_path / "out") == [*map(str, numbers), *made_up, *"bcdefg", "012"]
    assert json.loads(done.stdout)["ids"] == "text"
    assert "object_id kept as text: 'b' in c.npz is not a whole number below 2^63" in done.stderr
    assert "object_id made up" in done.stderr
    widths = [load_file(tmp_path / f"out/{i}.safetensors")["object_id"].shape[1] for i in range(5)]
    assert widths == [1, 10, 10, 1, 3]


@pytest.mark.parametrize("largest", [LARGE - 1, LARGE, 2**64 - 1])
def test_unsigned_ids_are_text_where_int64_does_not_hold_them(
    objects: Columns, tmp_path: Path, largest: int
) -> None:
    ids = np.array([*range(6), largest], np.uint64)
    save(tmp_path / "in", "a.npz", objects, ids)
    done = run("pack", tmp_path / "in", "--out", tmp_path / "out")
    text = largest >= LARGE
    assert ids_in(tmp_path / "out") == [*map(str if text else int, [*range(6), largest])]
    assert f"kept as {'text' if text else 'int64'}" in done.stdout
    assert (f"'{largest}' in a.npz" in done.stderr) == text


@pytest.mark.parametrize("plain", ["0", "-1", "9223372036854775807", "-9223372036854775808"])
def test_text_that_is_a_whole_number_written_plainly_is_one(
    objects: Columns, tmp_path: Path, plain: str
) -> None:
    save(tmp_path / "in", "a.npz", objects, np.array([plain] * 7))
    done = run("pack", tmp_path / "in", "--out", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["ids"] == "int64"
    assert ids_in(tmp_path / "out") == [int(plain)] * 7


@pytest.mark.parametrize("odd", ["1_23", "+7", "007", "-0", "1e5", "1.0", " 7"])
def test_text_that_is_almost_a_number_stays_text(
    objects: Columns, tmp_path: Path, odd: str
) -> None:
    texts = ["12", odd, "123", "12", "7", "0", odd]
    save(tmp_path / "in", "a.npz", objects, np.array(texts))
    done = run("pack", tmp_path / "in", "--out", tmp_path / "out")
    assert ids_in(tmp_path / "out") == texts
    repeated = ", ".join(sorted({"12", odd}))
    assert f"object_id is repeated in 2 rows, such as {repeated}" in done.stderr


def test_partitions_of_both_kinds_are_packed_into_one_data_set(
    objects: Columns, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    write_partition(tmp_path / "in/0.safetensors", objects)
    texts = np.array([f"SDSS J{i}" for i in range(7)], "S")
    write_partition(tmp_path / "in/1.safetensors", {**objects, "object_id": texts})
    run("pack", tmp_path / "in", "--out", tmp_path / "out")
    numbers = map(str, objects["object_id"].tolist())
    assert ids_in(tmp_path / "out") == [*numbers, *texts.astype(str)]
    shown = run("inspect", tmp_path / "in/1.safetensors", "--json").stdout
    (facts,) = json.loads(shown)["files"]
    assert facts["fields"]["object_id"]["column"] == "object_id"
    assert facts["checksums"] == "ok"
    assert facts["sample"][2]["object_id"] == "SDSS J2"


def test_text_ids_are_left_alone_where_objects_are_numbered(
    objects: Columns, tmp_path: Path
) -> None:
    save(tmp_path / "in", "a.npz", objects, np.array(["étoile"] * 7))
    out = tmp_path / "out"
    done = run("pack", tmp_path / "in", "--out", out, "--number-objects", "--json")
    assert json.loads(done.stdout)["ids"] == "int64"
    assert ids_in(out) == list(range(7))


def test_equal_ids_give_equal_partitions_whatever_the_pieces(
    make_columns: Callable[..., Columns], tmp_path: Path
) -> None:
    """A partition is as wide as its own longest id, not as those read with it."""
    columns = make_columns(6, size=4)
    ids = ["a", "b", "c", "d" * 40, "e", "f"]
    table = {n: columns[n].reshape(6, -1).tolist() for n in ("image", "mag")}
    for name, size in (("a", 1), ("b", 6)):
        pq.write_table(
            pa.table({**table, "object_id": ids}), tmp_path / f"{name}.parquet", row_group_size=size
        )
        run("pack", tmp_path / f"{name}.parquet", "--out", tmp_path / name, "--per-partition", "3")
    for i in range(2):
        first, second = (tmp_path / name / f"{i}.safetensors" for name in "ab")
        assert first.read_bytes() == second.read_bytes()
    assert load_file(tmp_path / "a/0.safetensors")["object_id"].shape == (3, 1)
