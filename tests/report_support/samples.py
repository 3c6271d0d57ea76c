"""Documents of plausible runs: `sample(ranks, rows)`, the same for the same arguments."""

from __future__ import annotations

import base64
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.status import State, Status
from cosmic.costs.bill import Usage, bill, bill_document, billed_ms
from cosmic.metrics.photo_z import photo_z_metrics
from cosmic.metrics.pz import PzStatistics
from cosmic.report.cells import Cells, SkyCounts, redshift_magnitude
from cosmic.report.cutout import Cutout
from cosmic.report.cutout_choice import FLAGGED, RANDOM, WORST
from cosmic.report.cutouts import composite, png
from cosmic.report.document import ReportDocument
from cosmic.report.histograms import bin_redshifts
from cosmic.report.phases import RankTimes, timeline
from cosmic.report.tables import slowest_of

EPOCH_S = 1_790_000_000.0


def sample(ranks: int, rows: int, *, z_spec: bool = True, **status: Any) -> ReportDocument:
    """A run of so many ranks over so many objects; `status` replaces fields of its status."""
    draw = np.random.default_rng(ranks)
    redshifts = sample_redshifts(min(rows, 200_000), z_spec=z_spec)
    photo_z = photo_z_metrics(*redshifts)
    records = tuple(sample_record(rank, ranks, rows // ranks, draw) for rank in range(ranks))
    width = (
        {"bias": photo_z["rail"]["bias_median"], "sigma": photo_z["sigma_nmad"]} if z_spec else {}
    )
    facts: dict[str, Any] = {
        "run": f"sdss-legacy-{ranks:012x}",
        "state": State.SUCCEEDED,
        "manifest": "s3://bucket/manifests/sdss-legacy.json",
        "updated_at": "2026-11-26T10:00:00.000+00:00",
        "world_size": ranks,
        "rows_in": rows,
        "rows_out": rows,
        "rows_flagged": 3,
        "fmi": "ok",
        "outputs": {"catalogue.parquet": "s3://bucket/runs/x/catalogue.parquet"},
    }
    return ReportDocument(
        status=Status(**{**facts, **status}),
        metrics={
            "version": 1,
            "photo_z": photo_z,
            "pz": sample_pz(redshifts),
            "run": sample_run(records, rows),
            "bill": sample_bill(records, rows),
            "domain": {"known": True, "outside": 3, "share": 3 / rows},
        },
        timeline=RankTimes.of(timeline(records)),
        slowest=slowest_of(timeline(records), records),
        binned=bin_redshifts([redshifts], **width),
        sky=sample_sky(min(rows, 20_000)),
        magnitudes=redshift_magnitude(redshifts[0], redshifts[2]),
        flag_counts={"MISSING_BAND": 2, "BAD_PIXELS": 1, "OUT_OF_RANGE": 1, "NO_PREDICTION": 0},
        flagged=tuple(
            {
                "object_id": 1_237_648_720_693_755_918 + i,
                "partition": 0,
                "row": 17 * i,
                "flags": 1 + i,
                "z_phot": 0.1 + i / 100,
                "z_phot_err": 0.012,
                "z_spec": 0.11 if z_spec else None,
            }
            for i in range(3)
        ),
        cutouts=sample_cutouts(),
        provenance={
            "data set": "s3://bucket/data/legacy/",
            "model": "astromae-tiny.safetensors",
            "model SHA-256": "5f" * 32,
            "started": "2026-11-26 09:58:00 UTC",
            "software": "cosmic 0.1.0",
            "engine": "openvino, float32",
        },
    )


def sample_cutouts() -> tuple[Cutout, ...]:
    """Round galaxies in noise, two in each group."""
    draw, at = np.random.default_rng(5), np.arange(48) - 23.5
    made = []
    for i, group in enumerate((WORST, WORST, FLAGGED, FLAGGED, RANDOM, RANDOM)):
        light = 40 * np.exp(-np.hypot(*np.meshgrid(at, at)) / (3 + i))
        colours = np.array([0.2, 0.5, 0.8, 1.0, 1.0])[:, None, None]
        picture = png(composite(light * colours + draw.normal(0, 1, (5, 48, 48))))
        made.append(
            Cutout(
                group=group,
                object_id=str(1_237_648_720_693_755_918 + i),
                flags=2 if group == FLAGGED else 0,
                z_phot=0.1 + i / 100,
                z_spec=None if i % 2 else 0.12,
                png=base64.b64encode(picture).decode(),
            )
        )
    return tuple(made)


def sample_redshifts(rows: int, *, z_spec: bool = True) -> np.ndarray[Any, np.dtype[np.float32]]:
    """z_phot, z_spec and r magnitude (3, N) like those of the `legacy` sample."""
    draw = np.random.default_rng(7)
    spec = np.where(
        draw.random(rows) < 0.65, draw.gamma(4, 0.026, rows), draw.normal(0.33, 0.05, rows)
    ).clip(0.01, 0.48)
    width = np.where(draw.random(rows) < 0.03, 0.05, 0.012)
    phot = spec + 0.001 + (1 + spec) * draw.normal(0, 1, rows) * width
    mag_r = 15 + 9 * spec + draw.normal(0, 0.6, rows)
    return np.stack([phot, spec if z_spec else np.full(rows, np.nan), mag_r]).astype(np.float32)


def sample_sky(rows: int) -> Cells | None:
    """Objects over a part of the sky."""
    draw, sky = np.random.default_rng(9), SkyCounts()
    sky.see(pa.table({"ra": draw.uniform(120, 240, rows), "dec": draw.uniform(0, 60, rows)}))
    return sky.cells()


def sample_pz(redshifts: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Any]:
    """`metrics.json`'s `pz` of objects whose p(z) is a Gaussian a tenth too narrow."""
    normal = np.array([[NormalDist().inv_cdf(p)] for p in QUANTILES.values()])
    widths = 0.011 * (1 + redshifts[0]) * normal
    statistics = PzStatistics()
    statistics.see((redshifts[0] + widths).T.astype(np.float64), redshifts[1])
    return statistics.metrics()


def sample_record(rank: int, world_size: int, rows: int, draw: np.random.Generator) -> RankRecord:
    """One rank's record; every 41st was tried again, every 67th reads slowly."""
    queued = EPOCH_S + draw.uniform(0, 0.2) + rank / 500
    cold = rank % 5 != 4
    init_s = draw.uniform(1.1, 1.6) if cold else 0.0
    retried = rank % 41 == 40
    started = queued + 0.1 + init_s + (2.5 if retried else 0.0)
    loaded = started + (draw.uniform(0.3, 0.5) if cold else 0.02)
    compute_s, wait_s = rows / 900, draw.uniform(0.05, 0.3) * (20 if rank % 67 == 66 else 1)
    inferred = loaded + wait_s + compute_s
    written = inferred + draw.uniform(0.05, 0.2)
    left = max(written, EPOCH_S + world_size / 500 + 5) + 0.1
    spent = inferred - started
    return RankRecord(
        rank=rank,
        world_size=world_size,
        attempt=int(retried),
        cold_start=cold,
        queued_at_s=queued,
        started_at_s=started,
        imported_at_s=started - 0.01,
        model_loaded_at_s=loaded,
        first_byte_at_s=started + 0.1,
        inferred_at_s=inferred,
        written_at_s=written,
        joined_at_s=written + 0.05,
        left_at_s=left,
        finished_at_s=left + 0.08,
        init_s=init_s,
        rows=rows,
        rows_flagged=0,
        bytes_read=rows * 20_600,
        s3_reads=12,
        s3_writes=2,
        download_s=0.7 * compute_s,
        read_wait_s=wait_s,
        compute_s=compute_s,
        rows_per_s=rows / spent,
        shares={"download": 0.3, "read_wait": wait_s / spent, "compute": compute_s / spent},
        peak_memory_mb=420,
        memory_mb=1769,
        engine="openvino",
        precision="float32",
        threads=1,
        shard_sha256="0" * 64,
        pid=1000 + rank,
        fmi="ok",
    )


def sample_run(records: tuple[RankRecord, ...], rows: int) -> dict[str, Any]:
    """`metrics.json`'s `run`, as far as the page shows it."""
    wall_s = max(r.finished_at_s for r in records) - EPOCH_S + 2.0
    return {
        "wall_s": wall_s,
        "rows_per_wall_s": rows / wall_s,
        "cold_starts": sum(r.cold_start for r in records),
        "retries": sum(r.attempt for r in records),
    }


def sample_bill(records: tuple[RankRecord, ...], rows: int) -> dict[str, Any]:
    """Their bill."""
    usage = Usage(
        lambda_billed_ms=tuple(
            (billed_ms(r.init_s + r.finished_at_s - r.started_at_s), r.memory_mb) for r in records
        ),
        state_transitions=6 + 3 * len(records),
        s3_puts=3 * len(records),
        s3_gets=14 * len(records),
    )
    return bill_document(bill(usage), rows)
