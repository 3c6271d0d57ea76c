"""Four processes as one program: fmilib by itself, without the rest of Cosmic.

    python examples/fmi_program.py [--ranks 4]

Each rank draws points in a square and counts those inside the circle; an allreduce gives all of
them the same estimate of pi, and rank 0 gathers what each one contributed. On Lambda the call of
`connect` is the same, with `rendezvous="host:port"` or a bucket in the place of the folder.
"""

from __future__ import annotations

import argparse
import multiprocessing
import secrets
from tempfile import TemporaryDirectory

import numpy as np

import fmilib

POINTS = 1_000_000


def rank_main(rank: int, size: int, secret: bytes, folder: str) -> None:
    """What every rank runs."""
    with fmilib.connect(
        rank=rank, size=size, job="pi", secret=secret, channel="local", store=folder
    ) as comm:
        seed = comm.bcast(secrets.randbits(32) if comm.rank == 0 else None)
        x, y = np.random.default_rng([seed, rank]).random((2, POINTS))
        inside = int(np.count_nonzero(x * x + y * y < 1))
        total = comm.allreduce(inside)
        contributions = comm.gather(inside)
        if contributions is not None:  # at rank 0
            print(f"inside the circle, by rank: {contributions}")
            print(f"pi is about {4 * total / (size * POINTS):.4f}")


def main() -> None:
    """Start the ranks and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ranks", type=int, default=4, help="processes to start")
    given = parser.parse_args()
    secret = secrets.token_bytes(16)
    with TemporaryDirectory() as folder:
        ranks = [
            multiprocessing.Process(target=rank_main, args=(rank, given.ranks, secret, folder))
            for rank in range(given.ranks)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
    failed = [rank for rank, process in enumerate(ranks) if process.exitcode != 0]
    if failed:
        parser.exit(1, f"ranks {failed} failed\n")


if __name__ == "__main__":
    main()
