"""A run whose pixels and magnitudes disagree is refused by `init`; a single object gets a flag."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from cosmic.api import run_local
from cosmic.contracts.flags import Flag
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import check_manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.data.native import write_partition
from cosmic.data.photometry_check import PIECE_BYTES, PIECES, spread
from cosmic.data.stream import Block
from cosmic.data.synth.dataset import Sample, rows
from cosmic.errors import InvalidInput, Problem
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine
from cosmic.planning.plan_run import plan_run, survey_input
from cosmic.ranks.predict import Progress, predicted
from cosmic.storage.interfaces import Readable
from cosmic.storage.local import FolderStore
from cosmic.storage.objects import Store

Columns = dict[str, NDArray[Any]]
CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS = 64
BUCKET = "here"
ADU = np.array([110, 230, 210, 160, 35], np.float32)[:, None, None]
SPOILED: dict[str, tuple[Callable[[NDArray[Any]], NDArray[Any]], str]] = {
    "a hundredth": (lambda image: image / 100, "times fainter than the magnitudes say"),
    "hundredfold": (lambda image: image * 100, "--image-scale 0.01"),
    "reversed": (lambda image: image[:, ::-1], "z, i, r, g, u in turn"),
    "empty": (np.zeros_like, "hold no light"),
    "adu": (lambda image: image * ADU, "counts (adu)"),
}


@pytest.fixture(scope="module")
def galaxies() -> Columns:
    return rows(Sample("catalog", None), 0, ROWS)


def planned(store: Readable, bucket: str, **data: Any) -> Plan | list[Problem]:
    document = {
        "version": 1,
        "job": "pixels",
        "model": {"uri": f"s3://{bucket}/m.safetensors"},
        "data": {"uri": f"s3://{bucket}/d/", **data},
    }
    limits = Limits(world_size=4, memory_mb=1769, channels=())
    manifest = check_manifest(document)
    return plan_run("pixels", manifest, survey_input(manifest, store, limits), limits)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "m.safetensors").write_bytes(CHECKPOINT.read_bytes())
    return tmp_path


def as_pt(columns: Columns) -> bytes:
    tensors = [torch.tensor(columns[name]) for name in ("image", "mag", "z_spec")]
    file = io.BytesIO()
    torch.save(TensorDataset(*tensors), file)
    return file.getvalue()


@pytest.mark.parametrize("how", SPOILED)
def test_a_run_is_refused_with_the_likely_cause(
    how: str,
    galaxies: Columns,
    store: Store,
    bucket: str,
    put_partition: Callable[[str, Columns], Location],
) -> None:
    spoil, cause = SPOILED[how]
    store.put(Location(bucket, "m.safetensors"), CHECKPOINT.read_bytes())
    put_partition("d/0.safetensors", {**galaxies, "image": spoil(galaxies["image"])})
    found = planned(store, bucket)
    assert isinstance(found, list)
    (problem,) = found
    assert (problem.code, problem.pointer) == ("pixels-disagree", "/data")
    assert cause in str(problem)
    assert "pixel_mismatch" in problem.hint
    accepted = planned(store, bucket, pixel_mismatch="warn")
    assert isinstance(accepted, Plan)
    assert not accepted.check_pixels
    assert cause in " ".join(accepted.announced)


def test_right_data_pass_and_their_objects_are_checked(galaxies: Columns, folder: Path) -> None:
    write_partition(folder / "d/0.safetensors", galaxies)
    (folder / "d/0.pt").write_bytes(as_pt(galaxies))
    store = FolderStore({BUCKET: folder})
    for layout in ("safetensors", "pt"):
        plan = planned(store, BUCKET, format=layout)
        assert isinstance(plan, Plan)
        assert plan.check_pixels
        assert plan.warnings == ()


def test_pt_has_the_unit_of_its_model_and_is_only_warned_of(
    galaxies: Columns, folder: Path
) -> None:
    (folder / "d/0.pt").write_bytes(as_pt({**galaxies, "image": galaxies["image"] * 100}))
    store = FolderStore({BUCKET: folder})
    plan = planned(store, BUCKET, format="pt")
    assert isinstance(plan, Plan)
    assert "times as bright" in " ".join(plan.announced)
    assert not plan.check_pixels
    assert isinstance(planned(store, BUCKET, format="pt", pixel_mismatch="refuse"), list)


def test_a_run_is_refused_if_most_of_its_objects_disagree(galaxies: Columns, folder: Path) -> None:
    for name, factor in (("0", 1), ("1", 100), ("2", 100)):
        image = galaxies["image"] * np.float32(factor)
        write_partition(folder / f"d/{name}.safetensors", {**galaxies, "image": image})
    assert isinstance(planned(FolderStore({BUCKET: folder}), BUCKET), list)


class CountingStore(FolderStore):
    """Counts what is read after the headers."""

    def __init__(self, folder: Path) -> None:
        super().__init__({BUCKET: folder})
        self.lengths: list[int] = []

    def get_range(self, at: Location, offset: int, length: int, *, etag: str) -> bytes:
        if at.key.startswith("d/"):
            self.lengths.append(length)
        return super().get_range(at, offset, length, etag=etag)


def test_the_sample_is_bounded_however_many_partitions_there_are(
    galaxies: Columns, folder: Path
) -> None:
    store, counts = CountingStore(folder), []
    for partitions in (1, 20, 40):
        for index in range(partitions):
            write_partition(folder / f"d/{index}.safetensors", galaxies)
        store.lengths.clear()
        assert isinstance(planned(store, BUCKET), Plan)
        counts.append(len(store.lengths) - partitions)  # their headers
        assert sum(store.lengths) <= PIECES * (PIECE_BYTES + 4096) + 16384 * partitions
    alone = len(spread([ROWS], [galaxies["image"][0].nbytes]))
    assert counts == [alone + 1, 2 * PIECES, 2 * PIECES]  # the magnitudes of a file at once


def test_single_objects_that_disagree_are_flagged(galaxies: Columns, folder: Path) -> None:
    image = galaxies["image"].copy()
    image[7] *= 100
    image[11] = image[11, ::-1].copy()
    image[13] = 0
    write_partition(folder / "d/0.safetensors", {**galaxies, "image": image})
    ran = run_local(folder / "d", CHECKPOINT, folder / "out")
    assert ran.warnings == ()
    flags = pq.read_table(ran.parquet)["flags"].to_numpy()
    odd = np.flatnonzero(flags & Flag.PHOTOMETRY_MISMATCH)
    assert odd.tolist() == [7, 11]
    assert flags[13] & Flag.BAD_PIXELS


def test_the_check_changes_nothing_but_its_own_flag(galaxies: Columns) -> None:
    image = galaxies["image"].copy()
    image[7] *= 100
    block = Block(0, 0, {**galaxies, "image": image})
    engine = Engine(load_checkpoint(CHECKPOINT), 1)
    ((_, without),), ((_, checked),) = (
        predicted([block], engine, Progress(), math.inf, check_pixels=check)
        for check in (False, True)
    )
    assert np.array_equal(checked.z_phot, without.z_phot)
    assert np.array_equal(checked.z_phot_err, without.z_phot_err)
    added = np.flatnonzero(checked.flags != without.flags)
    assert added.tolist() == [7]
    assert checked.flags[7] == without.flags[7] | Flag.PHOTOMETRY_MISMATCH


def test_an_accepted_mismatch_is_warned_of_once_and_not_flagged_in_every_object(
    galaxies: Columns, folder: Path
) -> None:
    write_partition(folder / "d/0.safetensors", {**galaxies, "image": galaxies["image"] * 100})
    with pytest.raises(InvalidInput, match="times as bright"):
        run_local(folder / "d", CHECKPOINT, folder / "refused")
    assert not (folder / "refused").exists()
    ran = run_local(folder / "d", CHECKPOINT, folder / "out", pixel_mismatch="warn")
    assert "times as bright" in ran.warnings[0]
    flags = pq.read_table(ran.parquet)["flags"].to_numpy()
    assert not (flags & Flag.PHOTOMETRY_MISMATCH).any()
