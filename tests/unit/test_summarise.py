"""What becomes of a run, judged from its parts alone: no S3, no clock, no files."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from cosmic.contracts.clocks import AWS, THIS_MACHINE
from cosmic.contracts.flags import Flag
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.manifest import check_manifest
from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, make_plan
from cosmic.contracts.status import State
from cosmic.metrics.photo_z import photo_z_metrics
from cosmic.metrics.statistics import Statistics
from cosmic.report.domain_words import domain_words
from cosmic.results.collective import CollectiveRecord
from cosmic.results.merge import Merged
from cosmic.results.read_run import RunParts
from cosmic.results.summarise import Summary, summarise
from cosmic.results.task import AggregateTask
from cosmic.storage.interfaces import Requests
from report_support.samples import EPOCH_S, sample_record, sample_redshifts

ROWS, WORLD = 256, 2
NOW_S = EPOCH_S + 40.0
TASK = AggregateTask(
    folder=RunFolder("bucket", "runs/", "job-0123456789ab"),
    manifest_uri="s3://bucket/manifests/job.json",
    execution="arn",
    run_started_at_s=EPOCH_S,
    memory_mb=1769,
    began_at_s=NOW_S - 2.0,
)


def planned(*, channel: str = "direct", tolerated: float = 0.0, has_domain: bool = True) -> Plan:
    manifest = check_manifest(
        {
            "version": 1,
            "job": "job",
            "model": {"uri": "s3://bucket/model.safetensors"},
            "data": {"uri": "s3://bucket/data/"},
            "tolerate": {"failed_rows_percent": tolerated},
        }
    )
    model = PlannedModel(
        bucket="bucket",
        key="model.safetensors",
        etag="e",
        bytes=1,
        sha256="0",
        has_domain=has_domain,
    )
    part = PlannedPartition(
        bucket="bucket", key="data/0.safetensors", etag="e", bytes=1, rows=ROWS, row_bytes=1
    )
    return make_plan("job-0123456789ab", manifest, model, [part], world_size=WORLD, channel=channel)


def merged(rows: int = ROWS, **facts: Any) -> Merged:
    found = Merged(rows=rows, **facts)
    z_phot, z_spec, mag_r = sample_redshifts(rows)
    found.photo_z.see(z_phot, z_spec, mag_r)
    found.statistics = Statistics.of(z_phot, z_spec)
    return found


def reduced(shift: float = 0.0) -> CollectiveRecord:
    """What two ranks summed, one of which shifted its redshifts."""
    z_phot, z_spec, _ = sample_redshifts(ROWS)
    half, off = ROWS // 2, np.float32(shift)
    sums = Statistics.of(z_phot[:half] + off, z_spec[:half])
    sums += Statistics.of(z_phot[half:], z_spec[half:])
    return CollectiveRecord(reduced=sums.named(), dz_counts=sums.counts(), shard_sha256=())


def summary_of(
    plan: Plan,
    found: Merged,
    *,
    collective: CollectiveRecord | None = None,
    failures: dict[int, str] | None = None,
    task: AggregateTask = TASK,
    announced: tuple[str, ...] = (),
) -> Summary:
    draw = np.random.default_rng(0)
    ranks = [r for r in range(WORLD) if r not in (failures or {})]
    records = [sample_record(rank, WORLD, ROWS // WORLD, draw) for rank in ranks]
    parts = RunParts(plan, records, collective, failures or {})
    return summarise(task, parts, found, announced, Requests(20, 7), NOW_S)


def test_a_whole_run_succeeds_with_the_metrics_of_its_rows() -> None:
    found = merged(rows_flagged=3)
    summary = summary_of(planned(), found, collective=reduced())
    status, metrics = summary.status, summary.metrics
    assert (status.state, status.fmi, status.problems) == (State.SUCCEEDED, "ok", ())
    assert (status.rows_in, status.rows_out, status.rows_flagged) == (ROWS, ROWS, 3)
    assert status.updated_at == "2026-09-21T14:14:00.000+00:00"
    assert metrics["photo_z"] == photo_z_metrics(*sample_redshifts(ROWS))
    assert (metrics["run"]["wall_s"], metrics["run"]["aggregate_s"]) == (40.0, 2.0)


def test_objects_out_of_domain_are_counted() -> None:
    found = merged()
    found.flagged.counts["OUT_OF_DOMAIN"] = ROWS // 4
    metrics = summary_of(planned(), found).metrics
    assert metrics["domain"] == {"known": True, "outside": ROWS // 4, "share": 0.25}
    assert domain_words(metrics) == "64 (25.0 %) unlike the training data"
    nothing = summary_of(planned(), Merged(rows=0)).metrics["domain"]
    assert nothing == {"known": True, "outside": 0, "share": None}


def test_a_model_without_a_domain_is_said_to_have_none() -> None:
    metrics = summary_of(planned(has_domain=False), merged()).metrics
    assert metrics["domain"] == {"known": False, "outside": None, "share": None}
    assert domain_words(metrics).startswith("no domain known")
    assert domain_words({}) == ""


def test_the_same_parts_give_the_same_summary() -> None:
    found = merged()
    one, other = (summary_of(planned(), found) for _ in range(2))
    assert one == other


def test_the_bill_counts_ranks_aggregate_and_requests() -> None:
    summary = summary_of(planned(), merged())
    lines = {line["item"]: line["formula"] for line in summary.metrics["bill"]["lines"]}
    assert lines["Lambda requests"].startswith("3 x")
    assert lines["S3 reads"].startswith(f"{20 + 2 * 12} x")
    assert lines["S3 writes and lists"].startswith(f"{7 + 2 * 2} x")


def test_time_of_this_machine_is_called_so_beside_what_is_expected_of_aws() -> None:
    bill = summary_of(planned(), merged(), task=replace(TASK, clock=THIS_MACHINE)).metrics["bill"]
    assert bill["clock"] == THIS_MACHINE
    assert bill["predicted_on_aws"]["usd"] > 0
    assert bill["predicted_on_aws"]["wall_s"] > 0
    on_aws = summary_of(planned(), merged()).metrics["bill"]
    assert on_aws["clock"] == AWS
    assert "predicted_on_aws" not in on_aws
    everyone = dict.fromkeys(range(WORLD), "killed")
    lost = summary_of(
        planned(), Merged(), failures=everyone, task=replace(TASK, clock=THIS_MACHINE)
    )
    assert lost.metrics["bill"]["predicted_on_aws"] is None


def test_p_z_is_judged_by_the_rows_that_have_it_and_a_redshift() -> None:
    found = merged()
    assert summary_of(planned(), found).metrics["pz"] == {"known": 0, "n": 0}
    spec = sample_redshifts(ROWS)[1]
    found.pz.see(spec[:, None] + np.linspace(-0.05, 0.05, 9), spec)
    assert summary_of(planned(), found).metrics["pz"]["coverage"] == {"68": 1, "90": 1, "95": 1}


def test_sums_that_differ_from_the_catalogue_fail_the_run() -> None:
    found = merged()
    status = summary_of(planned(), found, collective=reduced(0.01)).status
    assert status.state is State.FAILED
    assert {p["code"] for p in status.problems} == {"metrics-disagree"}


@pytest.mark.parametrize(("channel", "fmi"), [("none", "none"), ("direct", "degraded")])
def test_without_what_fmi_reduced_the_shards_count(channel: str, fmi: str) -> None:
    status = summary_of(planned(channel=channel), merged()).status
    assert (status.state, status.fmi) == (State.SUCCEEDED, fmi)


@pytest.mark.parametrize(
    ("tolerated", "state"), [(0.0, State.FAILED), (49.9, State.FAILED), (50.0, State.PARTIAL)]
)
def test_lost_rows_are_tolerated_up_to_the_manifests_share(tolerated: float, state: State) -> None:
    half = ROWS // 2
    lost = {"rank": 1, "rows": half, "reason": "no shard (not-found)"}
    found = merged(half, missing=[lost])
    status = summary_of(planned(tolerated=tolerated), found, failures={1: "killed"}).status
    assert (status.state, status.rows_out) == (state, half)
    assert [(m["rank"], m["reason"]) for m in status.missing] == [(1, "killed")]
    assert bool(status.problems) is (state is State.FAILED)


def test_rows_without_a_prediction_count_as_lost_and_are_said() -> None:
    failed = summary_of(planned(), merged(rows_unpredicted=1)).status
    assert failed.state is State.FAILED
    assert f"flag {Flag.NO_PREDICTION.value}" in failed.problems[0]["message"]
    partial = summary_of(planned(tolerated=1.0), merged(rows_unpredicted=1)).status
    assert partial.state is State.PARTIAL
    assert "1 of 256 rows" in partial.warnings[-1]


def test_warnings_stay_and_late_failures_are_added() -> None:
    found = merged()
    status = summary_of(planned(), found, failures={1: "cut off"}, announced=("odd file",)).status
    assert status.warnings == (
        "odd file",
        "rank 1 failed after its rows were written: cut off",
    )


def test_a_map_that_failed_as_a_whole_explains_what_is_missing() -> None:
    lost = {"rank": 0, "rows": ROWS, "reason": "no shard (not-found)"}
    task = AggregateTask(
        **{**vars(TASK), "map_failure": {"Error": "States.Timeout", "Cause": "a day"}}
    )
    found = Merged(missing=[lost])
    status = summary_of(planned(), found, task=task).status
    assert status.missing[0]["reason"] == "States.Timeout: a day"
