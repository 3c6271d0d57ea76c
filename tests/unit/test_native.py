"""Native partitions: equal rows give equal files, and the library reads what we write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save

from cosmic.contracts.columns import Header
from cosmic.data.native import canonical, read_header, write_partition
from cosmic.errors import InputError

WRITE = """
import sys; import numpy as np; from pathlib import Path
from cosmic.data.native import write_partition
f, d = np.float32, np.float64
mag, position = np.ones((3, 5), f), np.ones(3, d)
write_partition(Path(sys.argv[1]), {"image": np.ones((3, 5, 4, 4), f), "mag": mag, "mag_err": mag,
  "object_id": np.arange(3), "ra": position, "dec": position})
"""


@pytest.mark.process
def test_equal_rows_give_equal_files_in_every_process(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.safetensors" for i in range(4)]
    for path in paths:
        subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True)
    assert len({path.read_bytes() for path in paths}) == 1


def test_what_is_written_is_what_both_readers_read(
    make_columns: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    columns = make_columns(7, size=6)
    path = tmp_path / "p.safetensors"
    write_partition(path, columns)
    body = path.read_bytes()
    header = read_header(lambda at, n: body[at : at + n], len(body), "p")
    assert isinstance(header, Header)
    by_library = load_file(path)
    for name, column in columns.items():
        tensor = header.tensors[name]
        first, length = tensor.byte_range(2, 5)
        np.testing.assert_array_equal(
            np.frombuffer(body[first : first + length], tensor.dtype), column[2:5].ravel()
        )
        np.testing.assert_array_equal(by_library[name], column)


def test_columns_that_do_not_fit_are_refused(
    make_columns: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    columns = make_columns(3, size=4)
    columns["object_id"] = columns["object_id"].astype(np.float64)
    del columns["ra"]
    with pytest.raises(ValueError, match=r"'ra' is missing.*object_id is float64"):
        write_partition(tmp_path / "p", columns)
    assert list(tmp_path.iterdir()) == []


def test_text_ids_are_stored_as_wide_as_the_longest(
    make_columns: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "p.safetensors"
    ids = [b"012", b"SDSS J1", b"~"]
    write_partition(path, {**make_columns(3, size=4), "object_id": np.array(ids, "S20")})
    stored = load_file(path)["object_id"]
    assert (str(stored.dtype), stored.shape) == ("uint8", (3, 7))
    assert [bytes(row).rstrip(b"\0") for row in stored] == ids
    body = path.read_bytes()
    header = read_header(lambda at, n: body[at : at + n], len(body), "p")
    assert isinstance(header, Header)
    assert (header.id_bytes, header.rows) == (7, 3)


@pytest.mark.parametrize("bad", [b"", b"a ", b"a\0b", b"a\nb", "é".encode(), b"x" * 65])
def test_text_that_can_be_no_id_is_refused_by_row(
    make_columns: Callable[..., dict[str, Any]], tmp_path: Path, bad: bytes
) -> None:
    columns = {**make_columns(3, size=4), "object_id": np.array([b"a", b"b", bad])}
    with pytest.raises(InputError, match=r"p: object_id is not 1 to 64 .*: rows 2 \("):
        write_partition(tmp_path / "p", columns)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text_ids", [True, False])
def test_a_partition_is_to_the_byte_what_the_library_writes(
    text_ids: bool, tmp_path: Path, make_columns: Callable[..., dict[str, NDArray[Any]]]
) -> None:
    columns = make_columns(70, size=8)
    if text_ids:
        columns["object_id"] = np.array([f"J{i:05d}" for i in range(70)], "S6")
    path = tmp_path / "0.safetensors"
    write_partition(path, columns)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert path.read_bytes() == canonical(save(load_file(path), metadata))


@pytest.mark.parametrize("cuts", [[], [64], [1, 63, 64, 65], [30, 30, 140], [0, 200]])
def test_columns_in_parts_give_the_file_of_whole_ones(
    cuts: list[int], tmp_path: Path, make_columns: Callable[..., dict[str, NDArray[Any]]]
) -> None:
    columns = make_columns(200, size=4)
    write_partition(tmp_path / "whole", columns)
    parts = {name: np.split(column, cuts) for name, column in columns.items()}
    write_partition(tmp_path / "parts", parts)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_parts_of_several_kinds_are_refused(
    make_columns: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    columns = make_columns(3, size=4)
    columns["ra"] = [columns["ra"][:1], columns["ra"][1:].astype(np.float32)]
    with pytest.raises(ValueError, match="parts of ra"):
        write_partition(tmp_path / "p", columns)
