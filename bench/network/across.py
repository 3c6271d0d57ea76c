"""How long collectives take across networks with latency, and what the relay passes on.

    python bench/network/across.py [ONE_WAY_MS]

Needs root, ip, nft and ethtool: hosts are network namespaces behind two routers, and each
host's cable is lengthened, so that every pair of ranks is equally far apart. A collective
of r rounds should take r one-way trips; the last column is what it takes over that.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from fmilib.cost_model.operation_costs import shape
from fmilib_support import natlab
from fmilib_support.natlab import Lab
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

SIZES = (2, 4, 8)
SMALL = {"barrier": 0, "allreduce": 64, "allgather": 64, "alltoall": 64}  # and their bytes
LARGE_MB = 8 * (1 << 20) / 1e6


@contextmanager
def ranks(lab: Lab, hosts: list[str]) -> Iterator[Ranks]:
    """Ranks on hosts of a lab, with a rendezvous on its public network."""
    meet = natlab.public("meet")
    with Rendezvous(host=meet, inside=lab.name("meet")) as rendezvous:
        made = Ranks(rendezvous, f"bench-{len(hosts)}", len(hosts))
        try:
            yield made
        finally:
            made.close()


def measured(lab: Lab, hosts: list[str], operations: tuple[str, ...]) -> dict[str, float]:
    """Return the median over ranks of each rank's median seconds of each operation."""
    with ranks(lab, hosts) as job:
        inside = {rank: lab.name(host) for rank, host in enumerate(hosts)}
        job.start("timed", inside=inside, operations=operations, connect={"timeout_s": 60.0})
        found = job.values()
    return {name: statistics.median(one[name] for one in found) for name in operations}


def latency(one_way_ms: float) -> None:
    """Print small collectives against rounds × one way."""
    print(f"one way {one_way_ms:.1f} ms between any two ranks")
    print(f"{'operation':<12}{'ranks':>6}{'rounds':>8}{'ms':>9}{'ideal':>9}{'over':>8}")
    for size in SIZES:
        with Lab(hosts=max(SIZES) // 2) as lab:
            hosts = [host for pair in zip(lab.behind("left"), lab.behind("right"), strict=True)
                     for host in pair][:size]  # fmt: skip
            lab.delay(one_way_ms / 2, hosts)
            for name, seconds in measured(lab, hosts, tuple(SMALL)).items():
                rounds = shape(name, SMALL[name], size).rounds
                took, ideal = 1000 * seconds, rounds * one_way_ms
                over = f"{took / ideal - 1:+.0%}"
                print(f"{name:<12}{size:>6}{rounds:>8}{took:>9.2f}{ideal:>9.1f}{over:>8}")


def relay() -> None:
    """Print how fast 8 MiB go from rank to rank, punched and relayed."""
    print(f"{'way':<12}{'MB/s':>6}")
    for way, kind in (("punched", "keeping"), ("relayed", "symmetric")):
        with Lab(kind, kind) as lab:
            seconds = measured(lab, ["l1", "r1"], ("large bcast",))["large bcast"]
            print(f"{way:<12}{LARGE_MB / seconds:>6.0f}")


if __name__ == "__main__":
    latency(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
    relay()
