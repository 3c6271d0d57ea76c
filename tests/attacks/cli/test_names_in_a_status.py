"""Whoever can write a run's status.json can't have `cosmic results` write elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmic.client.results import download, fetch
from cosmic.contracts.layout import RESULTS, RunFolder
from cosmic.contracts.status import State, Status
from cosmic.errors import InputError
from cosmic.storage.objects import Store

RUN = "demo-0123456789ab"
STRANGE = [
    "../outside.txt",
    "../../outside.txt",
    "..",
    ".",
    "",
    "/tmp/outside.txt",
    "//server/share/outside.txt",
    "C:outside.txt",
    "C:\\outside.txt",
    "..\\outside.txt",
    "shards/rank-0000-of-0001.npy",
    "catalogue.parquet/../../outside.txt",
    "catalogue.parquet\0.txt",
    "catalogue.parquet\n",
    " catalogue.parquet",
    "CATALOGUE.PARQUET",
    "\x1b[2Jmetrics.json",
    "\u202ejson.scirtem",
    ".bashrc",
    "~/.ssh/authorized_keys",
    "metrics.json.part",
]


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(store: Store, bucket: str) -> RunFolder:
    """A run whose bucket holds an object for every name, good and bad."""
    found = RunFolder(bucket, "runs/", RUN)
    for name in ("metrics.json", "status.json", "plan.json"):
        store.put(found.at(name), b"{}")
    return found


def status(*outputs: str) -> Status:
    return Status(
        run=RUN,
        state=State.SUCCEEDED,
        manifest="s3://b/m.json",
        updated_at="2026-11-26T10:00:00.000+00:00",
        outputs=dict.fromkeys(outputs, "s3://b/x"),
    )


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_that_no_file_of_a_run_has_is_refused_before_anything_is_copied(
    store: Store, folder: RunFolder, tmp_path: Path, name: str
) -> None:
    into = tmp_path / "a" / "results"
    with pytest.raises(InputError, match=r"names files that a run doesn't have") as refused:
        download(store, folder, status("metrics.json", name), into)
    assert refused.value.code == "strange-name"
    assert refused.value.message.isprintable()
    assert everything_in(tmp_path) == set()


@pytest.mark.parametrize("run", ["../up", "/tmp/up", "a/b", "..", "", "C:up", "up\n", "up\0"])
def test_what_is_no_runs_id_is_no_folder(store: Store, tmp_path: Path, run: str) -> None:
    with pytest.raises(InputError, match="is not the id of a run"):
        fetch(store, RunFolder("bucket", "runs/", run), ["metrics.json"], tmp_path / "results")
    assert everything_in(tmp_path) == set()


def test_a_link_in_place_of_the_runs_folder_is_not_followed(
    store: Store, folder: RunFolder, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / RUN).symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link to"):
        download(store, folder, status("metrics.json"), tmp_path / "results")
    assert everything_in(elsewhere) == set()


@pytest.mark.parametrize("linked", ["metrics.json", "metrics.json.part"])
def test_a_link_in_place_of_a_file_is_replaced_and_not_written_through(
    store: Store, folder: RunFolder, tmp_path: Path, linked: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    place = tmp_path / "results" / RUN
    place.mkdir(parents=True)
    (place / linked).symlink_to(precious)
    download(store, folder, status("metrics.json"), tmp_path / "results")
    assert precious.read_text() == "mine"
    assert (place / "metrics.json").read_bytes() == b"{}"
    assert not (place / "metrics.json").is_symlink()


def test_a_file_where_the_folder_should_be_is_said(
    store: Store, folder: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError) as refused:
        download(store, folder, status("metrics.json"), tmp_path / "results")
    assert refused.value.code == "unwritable"


def test_every_name_that_a_run_writes_is_known() -> None:
    assert {"catalogue.parquet", "catalogue.partial.fits", "metrics.json", "report.html"} <= RESULTS
    assert {"combined_data.json", "plan.json", "status.json"} <= RESULTS
