"""`python -m bench.source_tables`: theirs, measured here and modelled for Lambda, kept apart."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.source_tables import published
from bench.source_tables.here import BATCH, S3_MB_PER_S, Here, our_rank, their_loop
from bench.stream.stage import BUCKET
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.costs.counts import Configuration, Job
from cosmic.costs.measured import Measured
from cosmic.costs.platform import LAMBDA
from cosmic.costs.predict import Prediction, predict


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.source_tables", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 50, 75, 100], help="MB")
    options = parser.parse_args()
    rows = [row for row in published.ROWS if row.partition_mb in options.sizes]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours = print_measured(folder, rows)
        print_modelled(rows, _measured(ours, (folder / BUCKET / "full").stat().st_size))
        print_local(folder, rows[0])
    print_bill()
    return 0


def print_measured(folder: Path, rows: list[published.Row]) -> RankRecord:
    """Their table beside one process here; gives our rank's record of the first row."""
    print("**Published** (Lambda, batch 512; s are the processor's, summed by the profiler) and "
          "**measured here** (one process, one thread; s are the processor's)\n")  # fmt: skip
    print("| partition MB | published: ranks | s | GB used | $ | Mbit/s | here, their loop: s "
          "| wall s | MiB | Mbit/s | here, our rank: s | cold rank, wall s | MiB "
          "| Mbit/s |")  # fmt: skip
    print("|---" * 14 + "|")
    records = []
    for row in rows:
        theirs = their_loop(folder, row.rows, "lambda-loop", 1)
        record = our_rank(folder, row.rows)
        records.append(record)
        print(
            f"| {row.partition_mb} | {row.world_size} | {row.duration_s} | {row.used_gb} "
            f"| {row.usd} | {row.mbit_s} {_cells(theirs)} {_cells(_as_here(record))} |",
            flush=True,
        )
    print()
    return records[0]


def _as_here(record: RankRecord) -> Here:
    """A cold rank from its start to its record, its process's start included."""
    wall_s = record.init_s + record.finished_at_s - record.started_at_s
    assert record.compute_cpu_s
    return Here(record.rows, wall_s, record.compute_cpu_s, record.peak_memory_mb)


def _cells(found: Here) -> str:
    return f"| {found.busy_s:.2f} | {found.wall_s:.2f} | {found.mib} | {found.mbit_s:.0f}"


def _measured(record: RankRecord, model_bytes: int) -> Measured:
    """What the model of Lambda starts from: our rank over the smallest partition."""
    model_s = model_bytes / S3_MB_PER_S / 1e6
    assert record.compute_cpu_s
    return Measured(
        where="here",
        engine="openvino",
        precision="float32",
        model_bytes=model_bytes,
        row_bytes=round(record.bytes_read / record.rows),
        rows_per_s={BATCH: record.rows / record.compute_cpu_s},
        init_s=record.init_s,
        load_s=max(0.0, record.model_loaded_at_s - record.started_at_s - model_s),
        peak_memory_mb=record.peak_memory_mb,
        memory_batch_size=BATCH,
    )


def print_modelled(rows: list[published.Row], measured: Measured) -> None:
    """The same rows as our model sees them on Lambda."""
    print(f"**Modelled for Lambda** (`cosmic.costs`; a vCPU as fast as a core here: "
          f"{measured.rows_per_s[BATCH]:.0f} rows/s; cold; ranks and rows per rank as "
          f"published)\n")  # fmt: skip
    print("| partition MB | ranks | MB | run s | rank s (billed) | peak MiB | $ | Mbit/s per rank "
          "| published row at 10,240 MB $ |")  # fmt: skip
    print("|---" * 9 + "|")
    for row in rows:
        for memory_mb in (MB_PER_VCPU, published.CONFIGURED_MB):
            p = _predicted(row, memory_mb, measured)
            rate = row.rows * published.BITS_A_ROW / p.rank_s / 1e6
            print(
                f"| {row.partition_mb} | {row.world_size} | {memory_mb} | {p.wall_s:.1f} "
                f"| {p.rank_s:.1f} | {p.peak_memory_mb} | {p.usd:.3f} | {rate:.0f} "
                f"| {row.configured_usd():.3f} |"
            )
    print()


def _predicted(row: published.Row, memory_mb: int, measured: Measured) -> Prediction:
    how = Configuration(memory_mb, row.world_size, BATCH, row.rows)
    return predict(Job(row.rows * row.world_size, measured.row_bytes), how, measured, LAMBDA)


def print_local(folder: Path, row: published.Row) -> None:
    """Local against distributed, one partition of 25 MB."""
    print("**Local**: one partition of 25 MB on one machine\n")
    print("| | processor s | wall s | memory | Mbit/s |")
    print("|---|---|---|---|---|")
    print(f"| published, batch 512 | {published.LOCAL_S} | | {published.LOCAL_GB} GB (summed "
          f"allocations) | {published.LOCAL_MBIT_S} |")  # fmt: skip
    print(f"| published, one of {row.world_size} Lambda functions | {row.duration_s} | "
          f"| {row.used_gb} GB | {row.mbit_s} |")  # fmt: skip
    for threads in (1, 2):
        found = their_loop(folder, row.rows, "plain-loop", threads)
        _local_line(f"here, their loop, batch 512, threads: {threads}", found)
    for threads in (1, 2):
        found = _as_here(our_rank(folder, row.rows, threads * MB_PER_VCPU))
        _local_line(f"here, our cold rank, batch {BATCH}, threads: {threads}", found)
    print()


def _local_line(name: str, found: Here) -> None:
    print(
        f"| {name} | {found.busy_s:.2f} | {found.wall_s:.2f} | {found.mib} MiB "
        f"| {found.mbit_s:.0f} |",
        flush=True,
    )


def print_bill() -> None:
    """What their whole run costs."""
    used, configured = published.whole_data_usd()
    seconds = published.ROWS[0].duration_s
    print(f"**Their bill**: {published.PARTITIONS} functions x {seconds} s: by the memory used "
          f"(2.5 GB) ${used:.2f}, by the memory configured ({published.CONFIGURED_MB:,} MB) "
          f"${configured:.2f}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
