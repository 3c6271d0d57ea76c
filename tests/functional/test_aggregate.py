"""The merge: every row once, the truth about what is missing, and files that others can read."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from cosmic.client.results import download
from cosmic.contracts.bands import BANDS
from cosmic.contracts.catalogue_columns import COLUMNS, Rows, catalogue_rows
from cosmic.contracts.flags import Flag
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, Slice, share_rows
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.rank_record import RankRecord, parse_record
from cosmic.contracts.shard import joined, write_shard
from cosmic.contracts.status import State, Status, parse_status
from cosmic.costs.counts import WRITES_OF_AGGREGATE, count, reads_of_aggregate
from cosmic.costs.workload import of_plan
from cosmic.metrics.photo_z import implausible
from cosmic.metrics.statistics import Statistics
from cosmic.report import render
from cosmic.report.document import ReportDocument
from cosmic.results.aggregate import aggregate
from cosmic.results.collective import write_gathered
from cosmic.results.summarise import summarise
from cosmic.results.task import AggregateTask
from cosmic.storage.interfaces import StoredObject
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore

ROWS = (100, 70)
BATCH = 16


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in no time; the real one has tests of its own in functional/report."""

    def write(document: ReportDocument, scratch: Path, seconds_left: float) -> Path:
        path = scratch / "report.html"
        path.write_text(document.status.run)
        return path

    monkeypatch.setattr("cosmic.report.render.make_page", write)


def text_bytes(ids: Any) -> int | None:
    """The width of text ids."""
    return ids.dtype.itemsize if ids.dtype.kind == "S" else None


def quantiles(z_phot: Any) -> Any:
    """Quantiles of p(z) of these redshifts."""
    return z_phot[:, None] + np.linspace(-0.04, 0.04, len(QUANTILES), dtype=np.float32)


class Run:
    """A run whose ranks are done: shards, records and collective in S3.

    Its model gives NaN for the first of every `lost_of` rows of a partition, and where `outlier`
    is given, that for the last.
    """

    def __init__(
        self,
        store: Store,
        bucket: str,
        columns: list[dict[str, Any]],
        world_size: int,
        *,
        lost_of: int | None = None,
        tolerated_percent: float = 0,
        outlier: float | None = None,
    ) -> None:
        self.store, self.columns = store, columns
        self.lost_of, self.outlier = lost_of, outlier
        self.folder = RunFolder(bucket, "runs/", f"test-{world_size}")
        self.plan = Plan(
            run=self.folder.run,
            dataset="s3://d/",
            model=PlannedModel(bucket="b", key="m/tiny", etag="e", bytes=1, sha256="0" * 64),
            partitions=tuple(
                PlannedPartition(
                    bucket="b",
                    key=f"{i}",
                    etag="e",
                    bytes=1,
                    rows=n,
                    row_bytes=1,
                    id_bytes=text_bytes(columns[i]["object_id"]),
                )
                for i, n in enumerate(ROWS)
            ),
            ranks=tuple(share_rows(ROWS, world_size, BATCH)),
            batch_size=BATCH,
            channel="direct",
            fmi_timeout_s=1,
            failed_rows_percent=tolerated_percent,
            gather=True,
        )
        self.shards = [self.shard(rank) for rank in range(world_size)]
        self.statistics = Statistics.none()
        for c in columns:
            self.statistics += Statistics.of(self.z_phot(c), c["z_spec"])

    def z_phot(self, columns: dict[str, Any]) -> Any:
        z = np.linspace(0.02, 0.4, len(columns["z_spec"])).astype(np.float32)
        if self.lost_of:
            z[:: self.lost_of] = np.nan
        if self.outlier is not None:
            z[-1] = self.outlier
        return z

    def shard(self, rank: int) -> bytes:
        out, planned = io.BytesIO(), self.plan.ranks[rank]
        blocks = (self.rows(s) for s in planned.slices)
        write_shard(out, planned.rows, self.plan.id_bytes, blocks)
        return out.getvalue()

    def rows(self, s: Slice) -> Rows:
        c = {k: v[s.start : s.stop] for k, v in self.columns[s.partition].items()}
        z = self.z_phot(self.columns[s.partition])[s.start : s.stop]
        flags = np.where(np.isnan(z), Flag.NO_PREDICTION, 0).astype(np.int32)
        made = (z, z / 10, quantiles(z), flags)
        return catalogue_rows(c, *made, partition=s.partition, start=s.start)

    def write(self, *, collective: bool = True, without: tuple[int, ...] = ()) -> None:
        self.store.put(self.folder.plan, self.plan.model_dump_json().encode())
        for rank, shard in enumerate(self.shards):
            if rank not in without:
                self.store.put(self.folder.shard(rank, self.plan.world_size), shard)
                self.store.put(
                    self.folder.record(rank, self.plan.world_size),
                    self.record(rank, fmi="ok" if collective else "degraded"),
                )
        if collective:
            run = RunStore(self.store, self.folder)
            write_gathered(run, self.statistics, self.shards, self.plan.id_bytes, BANDS)

    def implausible(self, rank: int) -> int:
        """As a rank counts it: of its rows that have a prediction."""
        return sum(
            implausible(
                self.z_phot(self.columns[s.partition])[s.start : s.stop],
                self.columns[s.partition]["z_spec"][s.start : s.stop],
            )
            for s in self.plan.ranks[rank].slices
        )

    def record(self, rank: int, fmi: str) -> bytes:
        times: dict[str, Any] = dict.fromkeys(
            (n for n in RankRecord.model_fields if n.endswith("_at_s")), 1.0
        )
        times |= {"started_at_s": 0.0, "inferred_at_s": 2.0}
        record = RankRecord(
            rank=rank,
            world_size=self.plan.world_size,
            attempt=0,
            cold_start=True,
            init_s=1.0,
            rows=self.plan.ranks[rank].rows,
            rows_flagged=0,
            implausible_z_spec=self.implausible(rank),
            bytes_read=1000,
            s3_reads=10,
            s3_writes=2,
            download_s=0.2,
            read_wait_s=0.1,
            compute_s=0.5,
            rows_per_s=self.plan.ranks[rank].rows / 2.0,
            shares={"download": 0.1, "read_wait": 0.05, "compute": 0.25},
            peak_memory_mb=300,
            memory_mb=1769,
            engine="openvino",
            precision="float32",
            threads=1,
            shard_sha256=hashlib.sha256(self.shards[rank]).hexdigest(),
            pid=1,
            fmi=fmi,
            **times,
        )
        return record.model_dump_json().encode()

    def task(self) -> AggregateTask:
        return AggregateTask(
            folder=self.folder,
            manifest_uri="s3://b/manifests/m.json",
            execution="arn",
            run_started_at_s=1.0,
            memory_mb=1769,
            began_at_s=2.0,
        )

    def aggregate(self, scratch: Path, **changes: Any) -> Status:
        table = changes.pop("table_prefix", "")
        self.ended = aggregate(replace(self.task(), **changes), self.store, scratch, table)
        return self.ended.status

    def object(self, name: str) -> bytes:
        return self.store.get(self.folder.at(name))


@pytest.fixture
def columns(make_columns: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    made = [make_columns(n, seed=n, size=4) for n in ROWS]
    for c in made:
        c["mag"][3, 0] = -9999
        c["z_spec"][5] = np.nan
    return made


@pytest.fixture
def run(store: Store, bucket: str, columns: list[dict[str, Any]]) -> Callable[..., Run]:
    return partial(Run, store, bucket, columns)


@pytest.mark.parametrize("collective", [True, False])
@pytest.mark.parametrize("world_size", [1, 2, 5, 13])
def test_rows_in_are_rows_out_in_order(
    run: Callable[[int], Run], tmp_path: Path, world_size: int, collective: bool
) -> None:
    done = run(world_size)
    done.write(collective=collective)
    status = done.aggregate(tmp_path)
    assert status.state is State.SUCCEEDED
    assert status.fmi == ("ok" if collective else "degraded")
    assert (status.rows_in, status.rows_out) == (170, 170)
    table = pq.read_table(io.BytesIO(done.object("catalogue.parquet")))
    assert table["partition"].to_pylist() == [0] * 100 + [1] * 70
    assert table["row"].to_pylist() == [*range(100), *range(70)]
    ids = np.concatenate([c["object_id"] for c in done.columns])
    assert table["object_id"].to_pylist() == ids.tolist()
    assert parse_status(done.object("status.json")) == status


def test_times_and_moved_rows_of_all_ranks_are_in_the_metrics(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(2)
    done.write(collective=True)
    late, early = (parse_record(done.record(rank, "ok")) for rank in range(2))
    late = late.model_copy(update={"rows_given": 10})
    helper = {"rows_taken": 10, "idle_s": 0.5, "helped_s": 0.25, "helped_compute_s": 0.2}
    for record in (late, early.model_copy(update=helper)):
        done.store.put(done.folder.record(record.rank, 2), record.model_dump_json().encode())
    done.aggregate(tmp_path)
    found = json.loads(done.object("metrics.json"))["run"]
    expected = {
        "rank_s_summed": 4.0,
        "shares": {"download": 0.1, "read_wait": 0.05, "compute": 0.25},
        "rows_moved": 10,
        "helped_s_summed": 0.25,
        "idle_s_summed": 0.5,
        "idle_share": 0.5 / 4.0,
        "rows_per_compute_s": 170 / 1.2,
    }
    assert {name: found[name] for name in expected} == {
        name: value if isinstance(value, dict) else pytest.approx(value)
        for name, value in expected.items()
    }


def test_the_catalogue_is_the_same_whatever_the_world_size_and_the_way(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    tables = []
    for world_size, collective in ((1, True), (3, True), (7, False)):
        done = run(world_size)
        done.write(collective=collective)
        done.aggregate(tmp_path)
        tables.append(pq.read_table(io.BytesIO(done.object("catalogue.parquet"))))
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


@pytest.mark.parametrize("collective", [True, False])
def test_text_ids_are_in_both_files_as_wide_as_the_longest(
    store: Store, bucket: str, columns: list[dict[str, Any]], tmp_path: Path, collective: bool
) -> None:
    texts = [
        [f"SDSS J{i:0{width}d}" for i in range(n)] for n, width in zip(ROWS, (9, 14), strict=True)
    ]
    for c, names in zip(columns, texts, strict=True):
        c["object_id"] = np.array(names, "S")
    done = Run(store, bucket, columns, 13, lost_of=17, tolerated_percent=10)
    done.write(collective=collective)
    done.aggregate(tmp_path)
    parquet = pq.read_table(io.BytesIO(done.object("catalogue.parquet")))
    assert parquet.schema.field("object_id") == pa.field("object_id", pa.string(), nullable=False)
    (tmp_path / "c.fits").write_bytes(done.object("catalogue.fits"))
    with fits.open(tmp_path / "c.fits") as hdus:
        column = hdus[1].columns["object_id"]
        assert (column.format, column.null) == ("20A", None)
    expected = [*texts[0], *texts[1]]
    assert parquet["object_id"].to_pylist() == expected
    assert Table.read(tmp_path / "c.fits", hdu=1)["object_id"].tolist() == expected


def test_missing_is_null_in_parquet_and_nan_in_fits(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    done = run(2, lost_of=17, tolerated_percent=10)
    done.write()
    done.aggregate(tmp_path)
    parquet = pq.read_table(io.BytesIO(done.object("catalogue.parquet")))
    table = Table.read(io.BytesIO(done.object("catalogue.fits")), hdu=1)
    assert table.colnames == list(COLUMNS)
    assert str(table["ra"].unit) == "deg"
    for name, rows in (("mag_u", [3, 103]), ("z_spec", [5, 105]), ("z_phot", [0, 17])):
        for row in rows:
            assert parquet[name][row].as_py() is None
            assert np.isnan(np.ma.filled(table[name].astype(float), np.nan)[row])
    for name in COLUMNS:
        whole = parquet[name].to_numpy(zero_copy_only=False)
        np.testing.assert_array_equal(np.ma.filled(table[name], np.nan), whole)


@pytest.fixture
def in_tokyo() -> Iterator[None]:
    """A machine whose clock shows another time than UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_the_date_of_a_catalogue_is_utc_wherever_it_is_made(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(1)
    done.write()
    done.aggregate(tmp_path)
    metadata = pq.read_metadata(io.BytesIO(done.object("catalogue.parquet"))).metadata
    date = datetime.fromisoformat(metadata[b"cosmic.date"].decode())
    assert date.utcoffset() == timedelta(0)


def test_provenance_is_in_both_files(run: Callable[[int], Run], tmp_path: Path) -> None:
    done = run(2)
    done.write()
    done.aggregate(tmp_path)
    metadata = pq.read_metadata(io.BytesIO(done.object("catalogue.parquet"))).metadata
    assert metadata[b"cosmic.run"] == b"test-2"
    assert metadata[b"cosmic.modelsha"] == b"0" * 64
    assert metadata[b"cosmic.rowsout"] == b"170"
    header = Table.read(io.BytesIO(done.object("catalogue.fits")), hdu=1).meta
    assert (header["RUN"], header["MODELSHA"], header["ROWSOUT"]) == ("test-2", "0" * 64, 170)


def test_names_beyond_ascii_are_percent_encoded_in_fits(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(1)
    done.plan = done.plan.model_copy(update={"dataset": "s3://d/sch\u00f6n 5%\x1b/"})
    done.write()
    done.aggregate(tmp_path)
    header = Table.read(io.BytesIO(done.object("catalogue.fits")), hdu=1).meta
    assert header["DATASET"] == "s3://d/sch%C3%B6n 5%25%1B/"
    metadata = pq.read_metadata(io.BytesIO(done.object("catalogue.parquet"))).metadata
    assert metadata[b"cosmic.dataset"].decode() == done.plan.dataset


def test_a_rank_that_failed_for_good_fails_the_run_and_says_why(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(4)
    done.write(collective=False, without=(2,))
    note = {"rank": 2, "error": "InputError", "cause": json.dumps({"errorMessage": "bad pixel"})}
    done.store.put_json(done.folder.at("failures/2.json"), note)
    status = done.aggregate(tmp_path)
    assert status.state is State.FAILED
    lost = done.plan.ranks[2].rows
    assert status.missing == ({"rank": 2, "rows": lost, "reason": "InputError: bad pixel"},)
    assert status.rows_out == 170 - lost
    assert set(status.outputs) == {
        "catalogue.partial.parquet",
        "catalogue.partial.fits",
        "report.html",
        "metrics.json",
    }


def test_lost_rows_within_the_tolerance_make_a_partial_run(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(13)
    done.plan = done.plan.model_copy(update={"failed_rows_percent": 20.0})
    done.write(collective=False, without=(12,))
    status = done.aggregate(tmp_path)
    assert status.state is State.PARTIAL
    assert "catalogue.parquet" in status.outputs
    assert status.missing[0]["reason"] == "no shard (not-found)"


def test_a_rank_that_failed_after_its_rows_were_safe_is_a_warning(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(3)
    done.write(collective=False)
    done.store.put_json(
        done.folder.at("failures/1.json"), {"rank": 1, "error": "KeyError", "cause": "'x'"}
    )
    status = done.aggregate(tmp_path)
    assert status.state is State.SUCCEEDED
    assert status.warnings == ("rank 1 failed after its rows were written: KeyError: 'x'",)
    assert done.aggregate(tmp_path).warnings == status.warnings


def test_a_run_that_has_ended_well_does_not_fail_for_its_scraps(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(2)
    done.write()
    listed = Store.list

    def spoilt(store: Store, at: Location) -> Iterator[StoredObject]:
        """A reply to a listing in which a key was damaged on its way."""
        for found in listed(store, at):
            yield replace(found, key=found.key.replace("rank-0001", "rank-0011"))

    monkeypatch.setattr(Store, "list", spoilt)
    assert done.aggregate(tmp_path).state is State.SUCCEEDED
    assert parse_status(done.object("status.json")).state is State.SUCCEEDED


def test_the_state_machines_note_of_a_failure_is_read_in_plain_words() -> None:
    cause = json.dumps({"errorMessage": "no-bucket: gone", "stackTrace": ["File x"]})
    problem = {"pointer": "aggregate", "message": cause, "hint": "", "code": "InputError"}
    note = {"run": "r", "state": "FAILED", "manifest": "m", "updated_at": "now"}
    status = parse_status(json.dumps({**note, "problems": [problem]}).encode())
    assert status.problems[0]["message"] == "no-bucket: gone"


def test_a_rank_that_left_its_rows_and_no_record_is_a_warning(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(3)
    done.write(collective=False)
    done.store.delete(done.folder.record(1, 3))
    status = done.aggregate(tmp_path)
    assert (status.state, status.fmi) == (State.SUCCEEDED, "degraded")
    said = "1 rank wrote all rows and no record: metrics and bill lack what that took"
    assert status.warnings == (said,)
    assert done.aggregate(tmp_path).warnings == (said,)


def test_a_map_that_failed_as_a_whole_is_the_reason(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(2)
    done.write(collective=False, without=(0, 1))
    failure = {"Error": "States.ItemReaderFailed", "Cause": "no items"}
    status = done.aggregate(tmp_path, map_failure=failure)
    assert status.state is State.FAILED
    assert {m["reason"] for m in status.missing} == {"States.ItemReaderFailed: no items"}


def test_a_shard_with_other_rows_than_planned_counts_as_missing(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(2)
    done.shards[1] = done.shards[0]
    done.write(collective=False)
    status = done.aggregate(tmp_path)
    assert status.state is State.FAILED
    assert "not those planned" in status.missing[0]["reason"]


@pytest.mark.parametrize("junk", [b"", b"PAR1 not really PAR1"])
def test_a_broken_shard_counts_as_missing(
    run: Callable[[int], Run], tmp_path: Path, junk: bytes
) -> None:
    done = run(2)
    done.shards[1] = junk
    done.write(collective=False)
    assert "is not a shard" in done.aggregate(tmp_path).missing[0]["reason"]


@pytest.mark.parametrize("collective", [True, False])
def test_a_shard_that_is_not_the_one_its_record_vouches_for_is_not_believed(
    run: Callable[[int], Run], tmp_path: Path, collective: bool
) -> None:
    done = run(2)
    done.write(collective=collective)
    done.outlier = 0.7
    done.store.put(done.folder.shard(1, 2), done.shard(1))
    done.store.put(done.folder.gathered, joined([done.shard(rank) for rank in range(2)], None))
    status = done.aggregate(tmp_path)
    assert (status.state, [m["rank"] for m in status.missing]) == (State.FAILED, [1])
    assert "is damaged" in status.missing[0]["reason"]


def test_a_gathered_object_that_is_not_the_shards_is_not_used(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(3)
    done.write()
    other = run(1)
    other.folder = done.folder
    write_gathered(RunStore(done.store, done.folder), done.statistics, other.shards, None, BANDS)
    assert done.aggregate(tmp_path).state is State.SUCCEEDED


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
def test_gathered_rows_are_read_in_pieces_and_a_damaged_one_from_its_shards(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("cosmic.results.merge.PIECE_ROWS", piece)
    done = run(5)
    done.write()
    assert done.aggregate(tmp_path).state is State.SUCCEEDED
    whole = done.object("catalogue.parquet")
    gathered = bytearray(done.store.get(done.folder.gathered))
    gathered[-1] ^= 1
    done.store.put(done.folder.gathered, bytes(gathered))
    assert done.aggregate(tmp_path).state is State.SUCCEEDED
    assert done.object("catalogue.parquet") == whole
    for rank in range(4):  # whose rows are whole where they were gathered
        done.store.delete(done.folder.shard(rank, 5))
    assert done.aggregate(tmp_path).state is State.SUCCEEDED
    assert done.object("catalogue.parquet") == whole


def test_metrics_that_disagree_with_what_fmi_reduced_fail_the_run(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(3)
    done.statistics += done.statistics
    done.write()
    status = done.aggregate(tmp_path)
    assert status.state is State.FAILED
    assert status.problems[0]["code"] == "metrics-disagree"


def set_z_spec(kind: str, columns: list[dict[str, Any]]) -> None:
    for c in columns:
        z = c["z_spec"]
        if kind == "constant":
            z[:] = 0.1
        elif kind == "within 1e-5":
            z[:] = 0.1 + 1e-5 * np.random.default_rng(1).random(len(z))
        elif kind == "a galaxy group":
            z[:] = np.random.default_rng(1).normal(0.5, 0.001, len(z))
        else:
            z[7:10] = float(kind)


@pytest.mark.parametrize("outlier", [None, 1e5, 3e38])
@pytest.mark.parametrize("kind", ["-1", "-9", "1e20", "constant", "within 1e-5", "a galaxy group"])
def test_awkward_redshifts_never_fail_a_run(
    run: Callable[..., Run],
    columns: list[dict[str, Any]],
    tmp_path: Path,
    kind: str,
    outlier: float | None,
) -> None:
    set_z_spec(kind, columns)
    done = run(3, outlier=outlier)
    done.write()
    status = done.aggregate(tmp_path)
    assert (status.state, status.problems, status.fmi) == (State.SUCCEEDED, (), "ok")
    found = json.loads(done.object("metrics.json"), parse_constant=pytest.fail)["photo_z"]
    assert found["n"] == done.statistics.named()["n"]
    implausible = 6 if kind[-1].isdigit() and kind != "within 1e-5" else 0
    unknown = int(sum(np.isnan(c["z_spec"]).sum() for c in columns))
    assert found["left_out"] == {
        "no_prediction": 0,
        "no_z_spec": unknown,
        "implausible_z_spec": implausible,
    }
    assert (found["r2"] is None) == (kind == "constant")


def test_an_implausible_z_spec_is_null_in_the_catalogue_and_counted(
    run: Callable[..., Run], columns: list[dict[str, Any]], tmp_path: Path
) -> None:
    columns[0]["z_spec"][:4] = [-1, -9, -99, 99]
    done = run(2)
    done.write()
    done.aggregate(tmp_path)
    found = pq.read_table(io.BytesIO(done.object("catalogue.parquet")))
    assert found["z_spec"][:4].to_pylist() == [None] * 4
    metrics = json.loads(done.object("metrics.json"))["photo_z"]
    assert metrics["left_out"]["implausible_z_spec"] == 4


def test_a_redshift_that_fmi_summed_wrong_fails_the_run(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    done = run(3, outlier=1e17)
    c = done.columns[0]
    z = done.z_phot(c)
    done.statistics = Statistics.of(done.z_phot(done.columns[1]), done.columns[1]["z_spec"])
    z[20] += np.float32(0.01)
    done.statistics += Statistics.of(z, c["z_spec"])
    done.write()
    status = done.aggregate(tmp_path)
    assert status.state is State.FAILED
    assert {p["code"] for p in status.problems} == {"metrics-disagree"}


@pytest.mark.parametrize("tolerated_percent", [0, 99.9])
def test_a_model_without_a_finite_prediction_fails_the_run(
    run: Callable[..., Run], tmp_path: Path, tolerated_percent: float
) -> None:
    done = run(3, lost_of=1, tolerated_percent=tolerated_percent)
    done.write()
    status = done.aggregate(tmp_path)
    assert (status.state, status.rows_out) == (State.FAILED, 170)
    (problem,) = status.problems
    assert problem["code"] == "rows-missing"
    assert problem["message"] == (
        "170 of 170 rows (100 %) have no prediction: for 170 the model gave no finite redshift "
        "(flag 8 in the catalogue)"
    )
    found = pq.read_table(io.BytesIO(done.object("catalogue.partial.parquet")))
    assert found["z_phot"].null_count == 170
    assert json.loads(done.object("metrics.json"))["photo_z"]["left_out"]["no_prediction"] == 170


def test_rows_without_a_prediction_within_the_tolerance_make_a_partial_run(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    done = run(3, lost_of=50, tolerated_percent=3)
    done.write()
    for _ in range(2):
        status = done.aggregate(tmp_path)
        assert (status.state, status.rows_out, status.problems) == (State.PARTIAL, 170, ())
        (warning,) = status.warnings
        assert warning.startswith("4 of 170 rows (2.35 %) have no prediction: for 4 the model gave")


def test_lost_ranks_and_rows_without_a_prediction_count_together(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    done = run(13, lost_of=50)
    lost = done.plan.ranks[12].rows
    tolerated = 100 * (max(lost, 4) + 1) / 170
    done.plan = done.plan.model_copy(update={"failed_rows_percent": tolerated})
    done.write(collective=False, without=(12,))
    status = done.aggregate(tmp_path)
    assert status.state is State.FAILED
    assert f"{lost} belong to ranks that failed; for 4 the model" in status.problems[0]["message"]


def test_a_shard_lost_after_fmi_summed_it_counts_as_missing_only(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    done = run(13, tolerated_percent=20)
    done.write()
    done.store.put(done.folder.gathered, b"broken")
    done.store.put(done.folder.shard(12, 13), b"broken")
    assert done.aggregate(tmp_path).state is State.PARTIAL


def test_metrics_and_bill(run: Callable[[int], Run], tmp_path: Path) -> None:
    done = run(4)
    done.write()
    done.aggregate(tmp_path)
    metrics = json.loads(done.object("metrics.json"))
    assert metrics["photo_z"]["n"] == done.statistics.named()["n"]
    assert metrics["run"]["world_size"] == 4
    assert metrics["run"]["compute_s_summed"] == pytest.approx(2.0)
    assert metrics["run"]["download_s_summed"] == pytest.approx(0.8)
    for name, seconds in (("download", 0.8), ("read_wait", 0.4), ("compute", 2.0)):
        share = seconds / metrics["run"]["rank_s_summed"]
        assert metrics["run"]["shares"][name] == pytest.approx(share)
    lines = {line["item"]: line for line in metrics["bill"]["lines"]}
    assert lines["Lambda requests"]["formula"].startswith("5 x")
    assert metrics["bill"]["usd"] == pytest.approx(sum(x["usd"] for x in lines.values()))


@pytest.mark.parametrize("channel", ["direct", "none"])
def test_the_bill_counts_what_was_expected_and_nothing_of_runs_before(
    run: Callable[[int], Run], tmp_path: Path, channel: str
) -> None:
    done = run(4)
    talks = channel != "none"
    done.plan = done.plan.model_copy(update={"channel": channel, "gather": talks})
    done.write(collective=talks)
    for _ in range(2):  # the second time in a warm environment
        done.aggregate(tmp_path)
        lines = json.loads(done.object("metrics.json"))["bill"]["lines"]
        billed = {line["item"]: int(line["formula"].split()[0]) for line in lines[1:]}
        expected = count(*of_plan(done.plan, 1769), environments=4)
        assert billed["Step Functions"] == expected.transitions
        assert billed["Lambda requests"] == expected.invocations
        assert billed["S3 reads"] == 4 * 10 + reads_of_aggregate(4, gathered=talks)
        assert billed["S3 writes and lists"] == 4 * 2 + WRITES_OF_AGGREGATE


def test_warnings_of_the_start_stay(run: Callable[[int], Run], tmp_path: Path) -> None:
    done = run(1)
    done.write()
    started = Status(
        run=done.folder.run,
        state=State.RUNNING,
        manifest="m",
        updated_at="now",
        warnings=("ignored 1 object that is not a partition: d/notes.txt",),
    )
    done.store.put(done.folder.status, started.model_dump_json().encode())
    assert done.aggregate(tmp_path).warnings == started.warnings


def test_aggregating_twice_gives_the_same_catalogue(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(2)
    done.write()
    done.aggregate(tmp_path)
    first = done.object("catalogue.parquet")
    done.aggregate(tmp_path)
    assert done.object("catalogue.parquet") == first


def test_rows_are_regrouped_across_shards(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic.results.catalogue_files.ROW_GROUP_ROWS", 64)
    done = run(5)
    done.write()
    done.aggregate(tmp_path)
    metadata = pq.read_metadata(io.BytesIO(done.object("catalogue.parquet")))
    assert [metadata.row_group(i).num_rows for i in range(3)] == [64, 64, 42]


def test_what_lies_elsewhere_is_left_alone(
    run: Callable[[int], Run], tmp_path: Path, bucket: str
) -> None:
    done = run(2)
    done.write()
    elsewhere = Location(bucket, "runs/other/status.json")
    done.store.put(elsewhere, b"mine")
    done.aggregate(tmp_path)
    assert done.store.get(elsewhere) == b"mine"


def tags(run: Run, rank: int) -> dict[str, str]:
    at = run.folder.shard(rank, run.plan.world_size)
    found = run.store._s3.get_object_tagging(Bucket=at.bucket, Key=at.key)
    return {tag["Key"]: tag["Value"] for tag in found["TagSet"]}


def test_shards_of_a_finished_run_may_be_removed_and_no_others(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    finished = run(2)
    finished.write()
    assert finished.aggregate(tmp_path).state is State.SUCCEEDED
    assert [tags(finished, rank) for rank in range(2)] == [{"cosmic": "scratch"}] * 2
    failed = run(4)
    failed.write(collective=False, without=(2,))
    assert failed.aggregate(tmp_path).state is State.FAILED
    assert [tags(failed, rank) for rank in (0, 1, 3)] == [{}] * 3


def test_the_page_lies_beside_the_catalogue_and_is_listed(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(2)
    done.write()
    status = done.aggregate(tmp_path)
    assert status.outputs["report.html"] == done.folder.report.uri
    head = done.store._s3.head_object(Bucket=done.folder.bucket, Key=done.folder.report.key)
    assert head["ContentType"] == "text/html; charset=utf-8"


def test_a_page_that_can_not_be_made_is_a_warning_and_costs_nothing_else(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(2)
    done.write()
    seen: list[State] = []

    def fails(*_: object) -> str:
        seen.append(parse_status(done.object("status.json")).state)
        return "ImportError: jinja2"

    with monkeypatch.context() as broken:
        broken.setattr("cosmic.report.render.make_page", fails)
        status = done.aggregate(tmp_path)
    assert seen == [State.SUCCEEDED]  # nobody waits for the page who wants the catalogue
    assert status.state is State.SUCCEEDED
    assert status.warnings == ("report.html could not be made: ImportError: jinja2",)
    assert "report.html" not in status.outputs
    assert done.object("catalogue.parquet")
    assert done.aggregate(tmp_path).warnings == ()


def _resume(done: Run) -> Status:
    """What `cosmic resume` writes before it starts the next execution."""
    resumed = Status(
        run=done.folder.run, state=State.RUNNING, manifest="m", updated_at="now", execution="arn-r1"
    )
    done.store.put(done.folder.status, resumed.model_dump_json().encode())
    return resumed


@pytest.mark.parametrize("during", ["report.render.make_page", "results.aggregate.summarise"])
def test_a_run_resumed_meanwhile_keeps_its_new_status(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    done = run(2)
    done.write()
    before = importlib.import_module(f"cosmic.{during.rpartition('.')[0]}")
    step = getattr(before, during.rpartition(".")[2])
    seen: list[Status] = []

    def resumed_meanwhile(*given: Any, **named: Any) -> Any:
        seen.append(_resume(done))
        return step(*given, **named)

    monkeypatch.setattr(f"cosmic.{during}", resumed_meanwhile)
    assert done.aggregate(tmp_path) == seen[0]
    assert done.ended.new is (during == "report.render.make_page")
    assert parse_status(done.object("status.json")) == seen[0]


PAGE_OF_THE_RESUMED = b"<p>the page of the resumed run</p>"


@pytest.mark.parametrize("there", [False, True], ids=["no page before", "a page before"])
def test_a_late_page_never_takes_the_place_of_a_resumed_runs(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A run was resumed, and ended, while the page of its stopped execution was drawn."""
    done = run(2)
    done.write()
    if there:
        done.aggregate(tmp_path)
    drawn = render.make_page

    def ended_meanwhile(*given: Any) -> Any:
        _said(done, State.SUCCEEDED, "arn-r1")
        done.store.put(done.folder.report, PAGE_OF_THE_RESUMED, "text/html")
        return drawn(*given)

    monkeypatch.setattr("cosmic.report.render.make_page", ended_meanwhile)
    assert done.aggregate(tmp_path).execution == "arn-r1"
    assert done.object("report.html") == PAGE_OF_THE_RESUMED


def test_the_page_of_the_end_that_stands_takes_the_place_of_a_late_one(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier execution's page came after the tag was asked for, and before the new page."""
    done = run(2)
    done.write()
    drawn = render.make_page

    def late_page(*given: Any) -> Any:
        done.store.put(done.folder.report, b"<p>of the stopped execution</p>", "text/html")
        return drawn(*given)

    monkeypatch.setattr("cosmic.report.render.make_page", late_page)
    status = done.aggregate(tmp_path)
    assert status.outputs["report.html"] == done.folder.report.uri
    assert done.object("report.html").decode() == done.folder.run


def test_who_waits_for_results_is_not_told_of_anothers_end(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, told = run(2), list[str]()
    done.write()
    task = done.task()
    aggregate(task, done.store, tmp_path, published=lambda: told.append("mine"))
    assert told == ["mine"]

    def ended_meanwhile(*given: Any, **named: Any) -> Any:
        _said(done, State.FAILED, "arn-r1")
        return summarise(*given, **named)

    monkeypatch.setattr("cosmic.results.aggregate.summarise", ended_meanwhile)
    assert not aggregate(task, done.store, tmp_path, published=lambda: told.append("its")).new
    assert told == ["mine"]


def test_shards_of_a_run_that_was_resumed_meanwhile_are_kept(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was whole for the earlier execution may not be for the next one, which reads them."""
    done = run(2)
    done.write()

    def resumed_meanwhile(*given: Any, **named: Any) -> Any:
        _resume(done)
        return summarise(*given, **named)

    monkeypatch.setattr("cosmic.results.aggregate.summarise", resumed_meanwhile)
    done.aggregate(tmp_path)
    assert [tags(done, rank) for rank in range(2)] == [{}] * 2


def test_the_end_of_an_execution_that_another_has_followed_writes_nothing(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(2)
    done.write()
    resumed = _resume(done)
    before = {found.key: found.etag for found in done.store.list(done.folder.at(""))}
    assert done.aggregate(tmp_path) == resumed
    assert not done.ended.new
    assert {found.key: found.etag for found in done.store.list(done.folder.at(""))} == before
    assert done.aggregate(tmp_path, execution="arn-r1").state is State.SUCCEEDED


DIED = {"Error": "States.Runtime", "Cause": "no such path"}


def _said(done: Run, state: State, execution: str | None) -> Status:
    status = Status(
        run=done.folder.run, state=state, manifest="m", updated_at="now", execution=execution
    )
    done.store.put(done.folder.status, status.model_dump_json().encode())
    return status


@pytest.mark.parametrize("said", [State.RUNNING, State.REJECTED, None])
def test_an_execution_that_died_unheard_gets_its_end_with_the_cause(
    run: Callable[[int], Run], tmp_path: Path, said: State | None
) -> None:
    done = run(2)
    done.write(collective=False, without=(1,))
    if said:
        _said(done, said, None)
    status = done.aggregate(tmp_path, map_failure=DIED, failed=True)
    assert (status.state, done.ended.new) == (State.FAILED, True)
    assert [m["reason"] for m in status.missing] == ["States.Runtime: no such path"]
    assert parse_status(done.object("status.json")) == status
    assert done.object("catalogue.partial.parquet")


@pytest.mark.parametrize("said", [State.FAILED, State.PARTIAL, State.SUCCEEDED])
@pytest.mark.parametrize("by", ["arn", "arn-r1"])
def test_an_execution_that_said_how_it_ended_before_it_failed_is_left_alone(
    run: Callable[[int], Run], tmp_path: Path, said: State, by: str
) -> None:
    done = run(2)
    done.write(collective=False, without=(1,))
    ended = _said(done, said, by)
    before = {found.key: found.etag for found in done.store.list(done.folder.at(""))}
    assert done.aggregate(tmp_path, map_failure=DIED, failed=True) == ended
    assert not done.ended.new
    assert {found.key: found.etag for found in done.store.list(done.folder.at(""))} == before


@pytest.mark.parametrize("said", [State.RUNNING, State.REJECTED])
def test_what_init_says_late_is_no_end(
    run: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: State
) -> None:
    """It announces a run after it has started it: a short one may be over by then."""
    done = run(2)
    done.write()

    def announced_meanwhile(*given: Any, **named: Any) -> Any:
        late = Status(run=done.folder.run, state=said, manifest="m", updated_at="now")
        done.store.put(done.folder.status, late.model_dump_json().encode())
        return summarise(*given, **named)

    monkeypatch.setattr("cosmic.results.aggregate.summarise", announced_meanwhile)
    assert done.aggregate(tmp_path).state is State.SUCCEEDED
    assert parse_status(done.object("status.json")).state is State.SUCCEEDED


def test_warnings_of_the_plan_are_kept_where_init_has_not_said_them_yet(
    run: Callable[[int], Run], tmp_path: Path
) -> None:
    done = run(1)
    done.write()
    plan = done.plan.model_copy(update={"warnings": ("slow",), "ignored_keys": ("d/notes.txt",)})
    done.store.put(done.folder.plan, plan.model_dump_json().encode())
    warnings = done.aggregate(tmp_path).warnings
    assert warnings == ("slow", "ignored 1 object that is not a partition: d/notes.txt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_json_is_written_that_others_can_not_read(
    store: Store, bucket: str, value: float
) -> None:
    at = Location(bucket, "metrics.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put_json(at, {"r2": [value]})
    assert store.get_current(at) is None


def test_a_run_that_ends_well_is_in_the_table_and_one_that_failed_is_not(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    def in_table(done: Run) -> list[str]:
        found = done.store.list(Location(done.folder.bucket, "catalogues/"))
        return [entry.key for entry in found]

    failed = run(2)
    failed.write(collective=False, without=(1,))
    assert failed.aggregate(tmp_path, table_prefix="catalogues/").state is State.FAILED
    assert in_table(failed) == []
    failed.write()
    ended = failed.aggregate(tmp_path, table_prefix="catalogues/")
    assert ended.state is State.SUCCEEDED
    (key,) = in_table(failed)
    rows = pq.read_table(io.BytesIO(failed.store.get(Location(failed.folder.bucket, key))))
    assert rows.num_rows == sum(ROWS)
    assert set(rows["run"].to_pylist()) == {failed.folder.run}


def with_hats(done: Run) -> Run:
    """The same run, whose manifest asks for HATS."""
    done.plan = done.plan.model_copy(update={"hats": True})
    return done


def hats_of(done: Run) -> tuple[str, int]:
    """The folder of the catalogue in a run's collection, and its rows."""
    said = done.object("catalogue.hats/collection.properties").decode()
    (folder,) = re.findall("hats_primary_table_url=(.*)", said)
    footer = done.object(f"catalogue.hats/{folder}/dataset/_metadata")
    return folder, pq.read_metadata(io.BytesIO(footer)).num_rows


def test_a_run_that_ends_well_is_hats_where_its_manifest_asks_for_it(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    plain = run(1)
    plain.write()
    assert "catalogue.hats" not in plain.aggregate(tmp_path).outputs
    failed = with_hats(run(2))
    failed.folder = RunFolder(failed.folder.bucket, "runs/", "test-0123456789ab")
    failed.write(collective=False, without=(1,))
    ended = failed.aggregate(tmp_path)
    assert ended.state is State.FAILED
    assert "catalogue.hats" not in ended.outputs
    failed.write()
    for _ in range(2):
        ended = failed.aggregate(tmp_path)
        assert ended.outputs["catalogue.hats"] == failed.folder.at("catalogue.hats").uri
        assert not any("hats" in warning for warning in ended.warnings)
    folder, rows = hats_of(failed)
    assert rows == sum(ROWS)
    keys = [entry.key for entry in failed.store.list(failed.folder.at("catalogue.hats"))]
    within = {key.split("catalogue.hats/")[1].split("/")[0] for key in keys}
    assert within == {"collection.properties", folder}
    assert not list(tmp_path.glob("*hats*"))
    copied = download(failed.store, failed.folder, ended, tmp_path / "results")
    assert (copied / "catalogue.parquet").is_file()
    assert not (copied / "catalogue.hats").exists()


def test_rows_without_a_position_are_told_once(
    run: Callable[..., Run], columns: list[dict[str, Any]], tmp_path: Path
) -> None:
    columns[0]["ra"][:3] = np.nan
    done = with_hats(run(1))
    done.write()
    for _ in range(2):
        warnings = done.aggregate(tmp_path).warnings
        assert warnings.count("catalogue.hats lacks 3 rows without a position") == 1
    assert hats_of(done)[1] == sum(ROWS) - 3


def test_a_run_ends_well_without_the_hats_that_cannot_be_made(
    run: Callable[..., Run], columns: list[dict[str, Any]], tmp_path: Path
) -> None:
    for each in columns:
        each["dec"][:] = np.nan
    lost = with_hats(run(1))
    lost.write()
    ended = lost.aggregate(tmp_path)
    assert ended.state is State.SUCCEEDED
    assert "catalogue.hats" not in ended.outputs
    (warning,) = (w for w in ended.warnings if w.startswith("catalogue.hats could not be made: "))
    assert "no row" in warning
    late = lost.aggregate(tmp_path, ends_at_s=0.0)
    assert late.state is State.SUCCEEDED
    (warning,) = (w for w in late.warnings if w.startswith("catalogue.hats could not be made: "))
    assert "s were left" in warning
