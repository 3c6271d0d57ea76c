"""`python -m bench.simulate`: the terabyte, simulated, beside the source document's figures.

Nothing is run on AWS: ranks are simulated one by one (`cosmic.costs.simulation`) with the constants
of docs/tuning.md. With `--local`, runs of the local stack with 1 to 16 ranks are made and simulated
with the constants of one of them; with `--check METRICS…`, finished ones with those of the first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.source_tables import published
from cosmic.costs.counts import Configuration, Job
from cosmic.costs.measured import Measured, Subject, from_metrics, usual
from cosmic.costs.platform import LAMBDA, local_stack
from cosmic.costs.predict import predict
from cosmic.costs.simulated_outcome import Simulated
from cosmic.costs.simulated_platform import Ceilings
from cosmic.costs.simulated_ranks import Chance
from cosmic.costs.simulation import simulate
from cosmic.costs.workload import ROW_BYTES
from cosmic.costs.world_size import USUAL_ROWS_PER_S

PARTITIONS, PARTITION_ROWS, BATCH = 40_000, 1218, 64
MEMORY_MB = 1769
MODEL_BYTES = 64_000_000
WORLDS, PREFIXES = (700, 1000, 2000, 10_000), (1, 16)
LOCAL_WORLDS = (1, 2, 4, 8, 16)
PUBLISHED_S, PUBLISHED_GB, TERABYTE_GB = 28.0, 12.6, 1000.0
HEAD = (
    "ranks",
    "data prefixes",
    "run s",
    "$",
    "formula: s",
    "$",
    "last rank starts s",
    "cold",
    "throttled",
    "SlowDown",
    "tries that died",
    "ranks lost",
)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(prog="bench.simulate", description=__doc__)
    parser.add_argument("--rate", type=float, default=USUAL_ROWS_PER_S, help="rows/s of a core")
    parser.add_argument("--worlds", type=int, nargs="+", help="numbers of ranks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spread", type=float, default=0.1, help="of ranks' speed, logarithmic")
    parser.add_argument("--late", type=float, default=0.01, help="share of late ranks")
    parser.add_argument("--late-factor", type=float, default=1.5, help="how much slower they are")
    parser.add_argument("--deaths", type=float, default=0.001, help="share of tries that die")
    parser.add_argument("--check", type=Path, nargs="+", help="metrics.json of local runs")
    parser.add_argument("--cores", type=float, default=2.0, help="of the machine they ran on")
    parser.add_argument("--local", action="store_true", help="make runs here and simulate them")
    parser.add_argument("--model", choices=["tiny", "full"], default="full", help="of --local")
    parser.add_argument("--rows", type=int, default=5120, help="of --local")
    parser.add_argument(
        "--from",
        type=int,
        default=2,
        dest="source",
        help="ranks of the run of --local that gives the constants",
    )
    options = parser.parse_args()
    if options.check:
        found = [json.loads(path.read_bytes()) for path in options.check]
        compare([Finished(metrics, options.cores) for metrics in found], 0)
        return
    if options.local:
        local(options)
        return
    given = options.spread, options.late, options.late_factor, options.deaths
    chance, measured = Chance(options.seed, *given), subject(options.rate)
    anchor(measured, chance)
    terabyte(measured, chance, options.worlds or WORLDS)


def subject(rows_per_s: float) -> Measured:
    """The model `full` at a rate, with usual times around it."""
    return usual(rows_per_s, Subject(MODEL_BYTES, ROW_BYTES, BATCH, "openvino", "float32"))


def row(*cells: object) -> None:
    """A row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def head(*cells: str) -> None:
    """The beginning of a table."""
    row(*cells)
    print("|---" * len(cells) + "|")


def anchor(measured: Measured, chance: Chance) -> None:
    """517 partitions by 517 functions, as the source document has them."""
    print("**517 functions, 12.6 GB**\n")
    head("", "run s", "Gbit/s", "$")
    used, configured = published.whole_data_usd()
    billed = f"{used:.2f} for memory used, {configured:.2f} for memory configured"
    row("published", f"{PUBLISHED_S:.0f}", f"{PUBLISHED_GB * 8 / PUBLISHED_S:.1f}", billed)
    rows = published.ROWS[0].rows
    job = Job(published.PARTITIONS * rows, ROW_BYTES, partitions=(rows,) * published.PARTITIONS)
    for memory_mb in (MEMORY_MB, published.CONFIGURED_MB):
        how = Configuration(memory_mb, published.PARTITIONS, BATCH, rows)
        found = simulate(job, how, measured, LAMBDA, Ceilings(), chance)
        rate = f"{PUBLISHED_GB * 8 / found.wall_s:.1f}"
        row(f"simulated, {memory_mb} MB", f"{found.wall_s:.1f}", rate, f"{found.usd:.2f}")
    print()


def terabyte(measured: Measured, chance: Chance, worlds: Sequence[int]) -> None:
    """40,000 partitions, by ranks and by how far S3 has spread the data set."""
    print("**40,000 partitions, 48.7 million rows, 1 TB**\n")
    scaled = TERABYTE_GB / PUBLISHED_GB
    used, configured = (usd * scaled for usd in published.whole_data_usd())
    print(
        f"Published figures times {scaled:.0f}: ${used:.2f} for the memory used, ${configured:.2f} "
        f"for that configured; {PUBLISHED_S:.0f} s with {published.PARTITIONS * scaled:,.0f} "
        f"functions at once, {PUBLISHED_S * scaled:,.0f} s with {published.PARTITIONS}.\n"
    )
    head(*HEAD)
    sizes = (PARTITION_ROWS,) * PARTITIONS
    job = Job(PARTITIONS * PARTITION_ROWS, ROW_BYTES, partitions=sizes)
    for world in worlds:
        how = Configuration(MEMORY_MB, world, BATCH, PARTITION_ROWS)
        for prefixes in PREFIXES:
            ceilings = Ceilings(account=world, data_prefixes=prefixes)
            rate = LAMBDA.s3_gets_per_s * prefixes
            expected = predict(job, how, measured, replace(LAMBDA, s3_gets_per_s=rate))
            found = simulate(job, how, measured, LAMBDA, ceilings, chance)
            formula = f"{expected.wall_s:.0f}", f"{expected.usd:.2f}"
            row(f"{world:,}", prefixes, *cells(found, formula))


def cells(found: Simulated, formula: tuple[str, str]) -> Iterator[str]:
    """What became of it, beside the formula."""
    yield f"{found.wall_s:.0f}"
    yield f"{found.usd:.2f}"
    yield from formula
    yield f"{found.first_s:.1f}"
    for name in ("cold_starts", "throttled", "slow_down", "deaths"):
        yield f"{found.figures[name]:,}"
    yield f"{found.lost:,}"


class Finished(NamedTuple):
    """A finished run of the local stack, and the cores that its ranks shared."""

    metrics: dict[str, Any]
    cores: float


def local(options: argparse.Namespace) -> None:
    """Make runs here, one of each number of ranks, and compare them with their simulation."""
    from bench.simulated_locally import local_runs

    worlds = sorted({*(options.worlds or LOCAL_WORLDS), options.source})
    runs = [
        Finished(run.metrics, run.cores_left)
        for run in local_runs(options.model, options.rows, worlds)
    ]
    compare(runs, worlds.index(options.source))


def compare(runs: Sequence[Finished], source: int) -> None:
    """Local runs beside their simulation with the constants of one of them."""
    measured = from_metrics(runs[source].metrics, f"run {source}")
    print(f"Constants: {constants(measured)}\n")
    three = "simulated", "ratio"
    head("ranks", "rows", "cores", "run s", *three, "ranks, summed s", *three, "$", *three)
    for found, cores in runs:
        job, how = of_metrics(found, measured)
        stack = local_stack(cores, measured.launch_s)
        simulated = simulate(job, how, measured, stack, Ceilings(), Chance())
        ranks_s = sum(r["finished_at_s"] - r["started_at_s"] + r["init_s"] for r in found["ranks"])
        wall_s, usd = found["run"]["wall_s"], found["bill"]["usd"]
        pairs = (wall_s, simulated.wall_s), (ranks_s, simulated.billed_s), (usd, simulated.usd)
        shown = [f"{v:.3g}" for was, said in pairs for v in (was, said, said / was)]
        row(how.world_size, job.rows, f"{cores:.2f}", *shown)


def constants(measured: Measured) -> str:
    """What a run says of a rank, in seconds on a core of its own."""
    names = "init_s", "load_s", "around_s", "launch_s", "aggregate_s"
    rate = ", ".join(f"{r:.0f} rows/s" for r in measured.rows_per_s.values())
    return ", ".join([rate, *(f"{name} {getattr(measured, name):.2f}" for name in names)])


def of_metrics(found: dict[str, Any], measured: Measured) -> tuple[Job, Configuration]:
    """What a finished run did; its ranks' shares stand for its partitions."""
    ranks, run = found["ranks"], found["run"]
    cold = bool(np.mean([r["cold_start"] for r in ranks]) > 1 / 2)
    talked = any(r["fmi"] != "none" for r in ranks)
    rows = tuple(r["rows"] for r in ranks)
    channel = "direct" if talked else "none"
    job = Job(sum(rows), measured.row_bytes, cold, channel, partitions=rows)
    memory_mb = max(r["memory_mb"] for r in ranks)
    return job, Configuration(memory_mb, len(ranks), run["batch_size"], max(rows))


if __name__ == "__main__":
    main()
