"""Cosmic as a library: manifests checked and planned, partitions run, catalogues read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from cosmic import (
    plan_manifest,
    read_catalogue,
    read_catalogue_pandas,
    run_local,
    validate_manifest,
)
from cosmic.api import LocalRun
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Limits
from cosmic.costs.world_size import best_world_size
from cosmic.data.native import write_partition
from cosmic.data.synth.dataset import Sample, rows
from cosmic.errors import InputError, InvalidInput
from cosmic.planning.plan_run import by_rows, survey_input
from cosmic.storage.local import FolderStore
from cosmic.storage.objects import Store

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS = 150
MANIFEST: dict[str, Any] = {
    "version": 1,
    "job": "here",
    "model": {"uri": "s3://bkt/models/tiny.safetensors"},
    "data": {"uri": "s3://bkt/data/"},
    "inference": {"world_size": 2},
}
Columns = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a bucket: two partitions, one with a missing magnitude, and a model."""
    place = tmp_path_factory.mktemp("b")
    (place / "data").mkdir()
    (place / "models").mkdir()
    (place / "models/tiny.safetensors").write_bytes(CHECKPOINT.read_bytes())
    for i in range(2):
        columns = rows(Sample("catalog", None), i * ROWS, (i + 1) * ROWS)
        columns["mag"][3, 2] = -9999
        write_partition(place / f"data/{i}.safetensors", columns)
    return place


@pytest.fixture(scope="module")
def ran(home: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    """Both partitions run here."""
    out = tmp_path_factory.mktemp("out") / "new"
    return run_local(home / "data", CHECKPOINT, out)


def test_a_manifest_in_any_form(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(MANIFEST))
    forms = (MANIFEST, json.dumps(MANIFEST), json.dumps(MANIFEST).encode(), path)
    first, *others = (validate_manifest(form) for form in forms)
    assert all(other == first for other in others)
    with pytest.raises(InvalidInput) as caught:
        validate_manifest({**MANIFEST, "version": 2, "job": "No Way"})
    assert {p.pointer for p in caught.value.problems} == {"/version", "/job"}
    with pytest.raises(InputError, match="does not exist"):
        validate_manifest(tmp_path / "none.json")


def test_a_plan_over_a_folder_is_the_plan_over_s3(
    home: Path, store: Store, bucket: str, s3: Any
) -> None:
    for path in (p for p in home.rglob("*") if p.is_file()):
        store.upload(path, Location(bucket, path.relative_to(home).as_posix()))
    text = json.dumps(MANIFEST).replace("s3://bkt/", f"s3://{bucket}/")
    here = plan_manifest(text, folders={bucket: home})
    there = plan_manifest(text, client=s3)
    assert here.ranks == there.ranks
    assert [p.rows for p in here.partitions] == [ROWS, ROWS]
    assert here.model.sha256 == there.model.sha256


def test_a_plan_has_as_many_ranks_as_init_would_give_it(home: Path) -> None:
    """By what they cost, which follows from how fast the model is, not by rows alone."""
    auto = {**MANIFEST, "inference": {"world_size": "auto", "batch_size": 8}}
    slow = validate_manifest({**auto, "limits": {"rows_per_s": 1}})
    folders = {"bkt": home}
    limits = Limits(world_size=100, memory_mb=1769, channels=("direct",))
    found = survey_input(slow, FolderStore(folders), limits)
    wanted = best_world_size(slow, found, limits)
    assert wanted > by_rows(slow, found, limits) == 1
    assert plan_manifest(slow, folders=folders, limits=limits).world_size == wanted


def test_a_plan_says_everything_that_speaks_against_it(home: Path) -> None:
    changed = {**MANIFEST, "data": {"uri": "s3://bkt/none/"}, "model": {"uri": "s3://other/m"}}
    with pytest.raises(InvalidInput) as caught:
        plan_manifest(changed, folders={"bkt": home})
    assert {p.pointer for p in caught.value.problems} == {"/model/uri", "/data/uri"}
    with pytest.raises(InvalidInput, match="is not a file"):
        plan_manifest(
            {**MANIFEST, "data": {"partitions": ["s3://bkt/../x.safetensors"]}},
            folders={"bkt": home},
        )


def test_what_ran_here_is_read_back_from_both_files(ran: LocalRun) -> None:
    assert (ran.rows, ran.rows_flagged > 1, ran.metrics["n"]) == (2 * ROWS, True, 2 * ROWS)
    parquet, fits = read_catalogue(ran.parquet), read_catalogue(str(ran.fits))
    assert isinstance(parquet, Table)
    for table in (parquet, fits):
        assert table["ra"].unit == u.deg
        assert table["mag_r"].unit == u.mag
        assert table["z_phot"].meta["ucd"] == "src.redshift.phot"
        assert table["object_id"].dtype == np.int64
        assert table["mag_r"].mask.nonzero()[0].tolist() == [3, ROWS + 3]
        assert table.meta["rowsin"] == str(2 * ROWS)
        assert table.meta["model"] == CHECKPOINT.name
    for name in parquet.colnames:
        np.testing.assert_array_equal(parquet[name].filled(0), fits[name].filled(0))


def test_pandas_reads_the_same(ran: LocalRun) -> None:
    table, frame = read_catalogue(ran.parquet), read_catalogue_pandas(ran.fits)
    assert frame["object_id"].dtype == np.int64
    assert frame["mag_r"].isna().sum() == 2
    np.testing.assert_array_equal(frame["z_phot"], np.asarray(table["z_phot"].filled(np.nan)))
    assert frame.attrs["rowsout"] == str(2 * ROWS)


def test_a_catalogue_in_s3(ran: LocalRun, store: Store, bucket: str, s3: Any) -> None:
    store.upload(ran.fits, Location(bucket, "runs/x/catalogue.fits"))
    table = read_catalogue(f"s3://{bucket}/runs/x/catalogue.fits", client=s3)
    assert len(table) == 2 * ROWS


def test_engines_agree_and_progress_is_told(home: Path, ran: LocalRun, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    files = sorted((home / "data").iterdir())
    other = run_local(
        files,
        CHECKPOINT,
        tmp_path,
        engine="torch",
        threads=1,
        limit_rows=200,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (200, 200)
    first, second = (read_catalogue(r.parquet)["z_phot"][:200] for r in (ran, other))
    np.testing.assert_allclose(first.filled(0), second.filled(0), atol=2e-5)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("none", "end in ''"),
        ("models", "is missing"),
        (["data/0.safetensors", "x.pt"], "end in '.pt', '.safetensors'"),
        ("empty", "holds no partitions"),
    ],
)
def test_input_that_can_not_be_run(home: Path, tmp_path: Path, data: Any, says: str) -> None:
    (home / "empty").mkdir(exist_ok=True)
    given = [home / d for d in data] if isinstance(data, list) else home / data
    with pytest.raises(InputError, match=says):
        run_local(given, CHECKPOINT, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_catalogue(tmp_path: Path, home: Path) -> None:
    for name in ("x.parquet", "x.fits"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match="is not a catalogue") as caught:
            read_catalogue(tmp_path / name)
        assert caught.value.code == "bad-catalogue"
    with pytest.raises(InputError, match="is not a file"):
        read_catalogue(tmp_path / "none.parquet")


def test_importing_cosmic_imports_nothing_else() -> None:
    code = (
        "import sys, cosmic; "
        "print([m for m in sys.modules if m.startswith('cosmic.')"
        " or m in ('numpy', 'pyarrow', 'boto3', 'pydantic', 'astropy')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_run_that_is_stopped_leaves_no_half_of_a_catalogue(home: Path, tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_local(home / "data", CHECKPOINT, tmp_path / "out", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []
