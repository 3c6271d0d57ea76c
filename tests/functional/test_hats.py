"""A HATS collection here and in S3: whole or not there, always alike, and read by hats and LSDB."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner
from types_boto3_s3 import S3Client

sys.path.insert(0, str(Path(__file__).parents[1]))

from catalogue_support.files import rows_at, write_catalogue
from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.results.hats.collection import CollectionWriter
from cosmic.results.hats.write_hats import Place, copy_to_hats, write_hats
from cosmic.storage.objects import Store
from cosmic_cli.program import application

ROWS, TILE_ROWS = 3_000, 400
COLLECTION = "collection.properties"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows over half the sky, seven without a position."""
    draw = np.random.default_rng(5)
    ra, dec = draw.uniform(0, 360, ROWS), np.degrees(np.arcsin(draw.uniform(0, 1, ROWS)))
    ra[3:10] = np.nan
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.parquet"
    write_catalogue(path, rows_at(ra, dec), 1_000)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def in_bucket(store: Store, bucket: str, prefix: str) -> dict[str, bytes]:
    keys = [entry.key for entry in store.list(Location(bucket, prefix))]
    return {key.removeprefix(prefix): store.get(Location(bucket, key)) for key in keys}


def test_s3_and_folder_get_the_same_files_every_time(
    catalogue: Path, tmp_path: Path, s3: S3Client, store: Store, bucket: str
) -> None:
    store.upload(catalogue, Location(bucket, "runs/r/catalogue.parquet"))
    here, there = tmp_path / "hats", f"s3://{bucket}/runs/r/catalogue.hats/"
    source = f"s3://{bucket}/runs/r/catalogue.parquet"
    made = write_hats(catalogue, here, tile_rows=TILE_ROWS)
    assert write_hats(source, there, tile_rows=TILE_ROWS, client=s3) == made
    found = files_in(here)
    assert in_bucket(store, bucket, "runs/r/catalogue.hats/") == found
    assert {name for name in found if "Npix" not in name} == {
        COLLECTION,
        "catalogue/hats.properties",
        "catalogue/properties",
        "catalogue/partition_info.csv",
        "catalogue/dataset/_metadata",
        "catalogue/dataset/_common_metadata",
    }
    assert made.bytes == sum(len(data) for name, data in found.items() if "Npix" in name)
    assert (made.rows, made.rows_without_position) == (ROWS - 7, 7)


def test_what_was_stopped_is_no_collection_and_is_written_again(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    write_hats(catalogue, whole, tile_rows=TILE_ROWS)
    before = CollectionWriter.write_tile
    left = iter(range(3))

    def dies(self: CollectionWriter, *args: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        before(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(CollectionWriter, "write_tile", dies)
    with pytest.raises(KeyboardInterrupt):
        write_hats(catalogue, stopped, tile_rows=TILE_ROWS, scratch=tmp_path)
    assert len(files_in(stopped)) == 3
    assert COLLECTION not in files_in(stopped)
    monkeypatch.setattr(CollectionWriter, "write_tile", before)
    write_hats(catalogue, stopped, tile_rows=TILE_ROWS, scratch=tmp_path)
    assert files_in(stopped) == files_in(whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["stopped", "whole"]


def test_the_collection_appears_last(
    catalogue: Path, s3: S3Client, store: Store, bucket: str
) -> None:
    write_hats(catalogue, f"s3://{bucket}/h", tile_rows=TILE_ROWS, client=s3)
    times = {
        entry["Key"]: entry["LastModified"]
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix="h/")["Contents"]
    }
    assert max(times, key=lambda key: (times[key], key == f"h/{COLLECTION}")) == f"h/{COLLECTION}"


def test_a_collection_turns_to_the_edition_that_was_written_last(
    catalogue: Path, tmp_path: Path
) -> None:
    fewer, out = tmp_path / "fewer.parquet", tmp_path / "hats"
    write_catalogue(fewer, rows_at(np.arange(9.0), np.zeros(9)), 9)
    for source, edition, rows in ((fewer, "a", 9), (catalogue, "b", ROWS - 7)):
        places = Place.named(source), Place.named(out)
        copy_to_hats(*places, TILE_ROWS, tmp_path, edition=edition)
        said = (out / COLLECTION).read_text()
        assert f"hats_primary_table_url=catalogue-{edition}\n" in said
        footer = pq.read_metadata(out / f"catalogue-{edition}/dataset/_metadata")
        assert footer.num_rows == rows


@pytest.mark.parametrize("name", ["notes.txt", COLLECTION, "catalogue/dataset/Norder=9/Npix=1.x"])
def test_other_files_are_left_alone(catalogue: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(InputError, match="not empty: it holds") as refused:
        write_hats(catalogue, tmp_path / "out", tile_rows=TILE_ROWS)
    assert name in str(refused.value)
    assert files_in(tmp_path / "out") == {name: b"mine"}


def test_what_cannot_be_is_refused_with_the_reason(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    lost, dense = tmp_path / "lost.parquet", tmp_path / "dense.parquet"
    write_catalogue(lost, rows_at(np.full(9, np.nan), np.zeros(9)), 9)
    write_catalogue(dense, rows_at(np.full(9, 10.0), np.zeros(9)), 9)
    with pytest.raises(InputError, match=r"no row of .*lost\.parquet has a position"):
        write_hats(lost, out)
    with pytest.raises(InputError, match=r"9 rows of .* in one pixel of order 9"):
        write_hats(dense, out, tile_rows=8)
    with pytest.raises(InputError, match="is no Parquet catalogue"):
        write_hats(catalogue.with_suffix(".fits"), out)
    with pytest.raises(InputError, match="is not a file"):
        write_hats(tmp_path / "none.parquet", out)
    broken = tmp_path / "broken.parquet"
    data = bytearray(catalogue.read_bytes())
    data[4:20_000] = bytes(19_996)
    broken.write_bytes(data)
    with pytest.raises(InputError, match="row group 0 of the catalogue is damaged"):
        write_hats(broken, out)
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"has room for 0\.0 GB"):
        write_hats(catalogue, out, scratch=tmp_path)
    assert not out.exists()


def test_a_catalogue_that_changes_meanwhile_is_refused(
    catalogue: Path,
    tmp_path: Path,
    s3: S3Client,
    store: Store,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = Location(bucket, "catalogue.parquet")
    store.upload(catalogue, at)
    other = tmp_path / "other.parquet"
    write_catalogue(other, rows_at(np.zeros(2_000), np.zeros(2_000)), 10)

    def exchanged(*_: object) -> None:
        store.upload(other, at)

    monkeypatch.setattr("cosmic.results.hats.write_hats._check_tiles", exchanged)
    with pytest.raises(InputError) as refused:
        write_hats(at.uri, f"s3://{bucket}/h", client=s3)
    assert refused.value.code == "precondition-failed"
    assert not list(store.list(Location(bucket, "h")))


def test_the_command_says_what_it_wrote(catalogue: Path, tmp_path: Path) -> None:
    out, cosmic = tmp_path / "hats", application("hats")
    named = ["hats", str(catalogue), "--out", str(out), "--tile-rows", str(TILE_ROWS), "--json"]
    said = json.loads(CliRunner().invoke(cosmic, named).stdout)
    assert said["rows"] == ROWS - 7
    assert said["bytes"] == sum(len(d) for n, d in files_in(out).items() if "Npix" in n)
    told = CliRunner().invoke(cosmic, [*named[:2], "--out", str(tmp_path / "again")]).stdout
    assert "left out 7 objects without a position" in told


@pytest.mark.skipif(not find_spec("hats"), reason="hats is not installed")
@pytest.mark.filterwarnings("default")
def test_hats_finds_the_collection_valid(catalogue: Path, tmp_path: Path) -> None:
    from hats import read_hats
    from hats.io.validation import is_valid_collection

    write_hats(catalogue, tmp_path / "hats", tile_rows=TILE_ROWS)
    assert is_valid_collection(tmp_path / "hats", strict=True)
    assert read_hats(tmp_path / "hats").main_catalog.catalog_info.total_rows == ROWS - 7


@pytest.mark.skipif(not find_spec("lsdb"), reason="lsdb is not installed")
@pytest.mark.filterwarnings("default")
def test_lsdb_reads_the_rows(catalogue: Path, tmp_path: Path) -> None:
    import lsdb

    write_hats(catalogue, tmp_path / "hats", tile_rows=TILE_ROWS)
    found = lsdb.open_catalog(tmp_path / "hats").compute()
    expected = pq.read_table(catalogue).filter(pq.read_table(catalogue)["ra"].is_valid())
    assert sorted(found["object_id"]) == sorted(expected["object_id"].to_pylist())
    cone = lsdb.open_catalog(tmp_path / "hats", search_filter=lsdb.ConeSearch(40, 30, 36_000))
    near = expected.to_pandas()
    away = np.hypot((near.ra - 40) * np.cos(np.radians(near.dec)), near.dec - 30)
    assert abs(len(cone.compute()) - int((away < 10).sum())) <= 3
