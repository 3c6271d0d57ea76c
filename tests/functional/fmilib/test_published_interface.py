"""Programs written for the published FMI library run unchanged, with its values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fmi
import fmilib
from fmi import settings
from fmi.operations import fmi_communicator
from fmilib_support.ranks import Ranks

Maker = Callable[[int], Ranks]


@pytest.mark.parametrize("backend", ["Direct", "TCPunch"])
def test_two_peers_get_the_published_values(ranks: Maker, tmp_path: Path, backend: str) -> None:
    job = ranks(2)
    job.start("published", folder=str(tmp_path), backend=backend)
    first, second = job.values()
    assert second["recv"] == [42, [1, 2]]
    for found in (first, second):
        assert found["bcast"] == [14.2, [1, 2]]
        assert found["allreduce"] == [[84, 28], 196.0, 42, 1.0]
    assert first["gather"] == [[0, 1], []]
    assert second["gather"] == [[], [0, 9, 1, 9]]
    assert [first["scatter"], second["scatter"]] == [[0.0, 1.0], [2.0, 3.0]]
    assert [first["reduce"][0], second["reduce"][1]] == [-1, [2, 4]]
    assert [first["scan"], second["scan"]] == [0, -1]


def test_eight_peers_reduce_and_scan_from_left_to_right(ranks: Maker, tmp_path: Path) -> None:
    job = ranks(8)
    job.start("published", folder=str(tmp_path), backend="Direct")
    found = job.values()
    assert found[0]["reduce"][0] == -34
    assert [one["scan"] for one in found] == [0, -1, -3, -6, -10, -15, -21, -28]
    assert found[1]["reduce"][1] == [8, 16]


def _file(folder: Path, backends: object) -> str:
    (folder / "fmi.json").write_text(json.dumps({"backends": backends}))
    return str(folder / "fmi.json")


def test_the_file_names_the_first_enabled_backend(tmp_path: Path) -> None:
    redis = {"enabled": True, "host": "h", "port": "6379"}
    path = _file(tmp_path, {"Direct": {"enabled": False}, "Redis": redis})
    assert settings.read(path) == {"channel": "redis", "store": "redis://h:6379/0"}
    assert settings.read(_file(tmp_path, {"S3": {"bucket_name": "b"}}))["store"] == "b"
    with pytest.raises(ValueError, match="enables none"):
        settings.read(_file(tmp_path, {"Redis": {"enabled": False}}))


def test_names_are_the_published_numbers() -> None:
    assert [*fmi.datatypes] == [*fmi.op][:4] == [0, 1, 2, 3]
    assert (fmi.op.custom, fmi.hints.fast, fmi.hints.cheap) == (4, 0, 1)
    assert fmi.func(fmi.op.sum, max, True, True).op.name == "sum"
    assert issubclass(fmilib.FmiError, RuntimeError)


def test_what_a_function_returns_must_be_of_the_announced_type() -> None:
    half = fmi.func(fmi.op.custom, lambda a, b: (a + b) / 2, True, True)
    one, two = np.array([1], np.int32), np.array([2], np.int32)
    with pytest.raises(RuntimeError, match="int32 was announced"):
        half.op.combine(one, two)
    with pytest.raises(OverflowError):
        fmi.func(fmi.op.custom, lambda a, b: a + 2**31, True, True).op.combine(one, two)
    with pytest.raises(RuntimeError, match="announced"):
        _ = fmi.types(fmi.datatypes.int_list).count


def test_one_peer_by_each_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path, {"TCPunch": {"host": "h", "port": 1}})
    monkeypatch.chdir(tmp_path)
    kind = fmi.types(fmi.datatypes.int_list, 2)
    for comm in (fmi_communicator(1, 0), fmi_communicator({"world_size": "1", "rank": "0"})):
        assert comm.gather([1, 2], 0, kind) == [1, 2]
        with pytest.raises(ValueError, match="announced"):
            comm.gather([1, 2, 3], 0, kind)
        with pytest.raises(RuntimeError, match="announced"):
            comm.send(1.5, 0, fmi.types(fmi.datatypes.int))
        assert comm.bcast([1, 2, 3], 0, kind) == [1, 2, 3]
        with pytest.raises(OverflowError):
            comm.send([1, 2**31], 0, kind)
        with pytest.raises(ValueError, match="share"):
            comm.scatter(1, 0, fmi.types(fmi.datatypes.int))
        comm.close()
    with pytest.raises(ValueError, match="needed"):
        fmi_communicator()
