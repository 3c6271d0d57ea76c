"""Programs in the manner of the published library's own tests, over each backend of `fmi.json`."""

from __future__ import annotations

import functools
import json
import operator
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import fmi
import fmilib
from fmilib import fmi_operations
from fmilib_support.server import DEPLOYMENT_SECRET

from .conftest import Way

BOUND_S = 60.0
INT, DOUBLE = fmi.types(fmi.datatypes.int), fmi.types(fmi.datatypes.double)
Program = Callable[[fmi.Communicator, int], Any]
Run = Callable[[int, Program], list[Any]]
pytestmark = pytest.mark.parametrize("way", ["direct", "redis", "s3"], indirect=True)


def ints(n: int) -> fmi.types:
    return fmi.types(fmi.datatypes.int_list, n)


def backend(way: Way) -> dict[str, Any]:
    """Return what an `fmi.json` says for a channel."""
    if way.channel == "s3":
        found = {"bucket_name": way.options["store"].partition("/")[0], "s3_region": "us-east-1"}
        return {"S3": {"enabled": True, "timeout": 100, "max_timeout": 1000, **found}}
    address = way.options.get("rendezvous") or urlsplit(way.options["store"]).netloc
    host, _, port = address.rpartition(":")
    name = "Direct" if way.channel == "direct" else "Redis"
    return {name: {"enabled": True, "host": host, "port": int(port), "max_timeout": 1000}}


@pytest.fixture
def peer(
    way: Way, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, int], fmi.Communicator]:
    """Return a maker of peers: `peer(rank, size)`."""
    path = tmp_path / "fmi.json"
    models = {"Direct": {"bandwidth": 250.0, "overhead": 0.34}}
    path.write_text(json.dumps({"backends": backend(way), "model": models}))
    monkeypatch.setenv("FMI_SECRET", fmilib.derive_secret(DEPLOYMENT_SECRET, job).hex())
    return lambda rank, size: fmi.Communicator(rank, size, str(path), job, 512)


@pytest.fixture
def run(peer: Callable[[int, int], fmi.Communicator]) -> Run:
    """Return a runner of a program on so many peers; it gives what each of them returned."""

    def one_peer(program: Program, size: int, rank: int) -> Any:
        comm = peer(rank, size)
        comm.hint(fmi.hints.fast)
        try:
            return program(comm, rank)
        finally:
            comm.close()

    def run_all(size: int, program: Program) -> list[Any]:
        with ThreadPoolExecutor(size) as pool:
            started = [pool.submit(one_peer, program, size, rank) for rank in range(size)]
            return [one.result(BOUND_S) for one in started]

    return run_all


def test_two_peers_of_the_published_client(run: Run) -> None:
    def program(comm: fmi.Communicator, rank: int) -> Any:
        messages = [(42, INT), (14.2, DOUBLE), ([1, 2], ints(2))]
        messages.append(([1.32, 2.34], fmi.types(fmi.datatypes.double_list, 2)))
        comm.barrier()
        for value, kind in messages:
            if rank:
                assert comm.recv(0, kind) == value
            else:
                comm.send(value, 1, kind)
            assert comm.bcast(None if rank else value, 0, kind) == value
        mixed = fmi.func(fmi.op.custom, lambda a, b: 2 * a + 2 * b, True, True)
        total, product = fmi.func(fmi.op.sum), fmi.func(fmi.op.prod)
        return [
            comm.gather([3, 4] if rank else [1, 2], 0, ints(2)),
            comm.scatter(None if rank else [14, 42], 0, ints(2)),
            comm.reduce(43 if rank else 42, 0, fmi.func(fmi.op.max), INT),
            comm.reduce([42, 14], 0, product, ints(2)),
            comm.reduce([42, 14], 0, mixed, ints(2)),
            comm.allreduce([42, 14], total, ints(2)),
            comm.allreduce(42, mixed, INT),
            comm.scan(14.0, product, DOUBLE),
            comm.scan([42, 14], total, ints(2)),
        ]

    first, second = run(2, program)
    assert first == [
        [1, 2, 3, 4], [14], 43, [1764, 196], [168, 56], [84, 28], 168, 14.0, [42, 14]
    ]  # fmt: skip
    assert second == [[], [42], 0, [0, 0], [0, 0], [84, 28], 168, 196.0, [84, 28]]


def test_four_peers_of_the_published_communicator_tests(run: Run) -> None:
    total, product = fmi.func(fmi.op.sum), fmi.func(fmi.op.prod)

    def program(comm: fmi.Communicator, rank: int) -> Any:
        pair, share = [rank + 1, 2 * (rank + 1)], ints(8)
        return [
            comm.bcast(rank, 2, INT),
            comm.scatter(list(range(1, 9)) if rank == 0 else None, 0, share),
            comm.gather([rank + 1], 3, ints(1)),
            comm.reduce(pair, 1, product, ints(2)),
            comm.allreduce(rank + 1, total, INT),
            comm.scan(pair, product, ints(2)),
        ]

    found = run(4, program)
    singles = list(range(1, 5))
    assert [one[0] for one in found] == [2] * 4
    assert [one[1] for one in found] == [[2 * r + 1, 2 * r + 2] for r in range(4)]
    assert [one[2] for one in found] == [[], [], [], singles]
    assert [one[3] for one in found] == [[0, 0], [24, 384], [0, 0], [0, 0]]
    assert [one[4] for one in found] == [10] * 4
    prefixes = [functools.reduce(operator.mul, singles[:n]) for n in singles]
    assert [one[5] for one in found] == [
        [prefix, prefix * 2**n] for n, prefix in enumerate(prefixes, 1)
    ]


def test_order_matters_where_a_function_says_so(run: Run) -> None:
    minus = fmi.func(fmi.op.custom, lambda a, b: a - b, False, False)
    tripling = fmi.func(fmi.op.custom, lambda a, b: 3 * a + b, False, False)

    def program(comm: fmi.Communicator, rank: int) -> Any:
        return [
            comm.reduce(rank + 1, 0, minus, INT),
            comm.scan(rank, minus, INT),
            comm.allreduce(rank, tripling, INT),
        ]

    found = run(8, program)
    assert found[0][0] == -34
    assert [one[1] for one in found] == [0, -1, -3, -6, -10, -15, -21, -28]
    folded = functools.reduce(lambda a, b: 3 * a + b, range(8))
    assert [one[2] for one in found] == [folded] * 8


def test_a_name_serves_one_job_after_the_other(
    peer: Callable[[int, int], fmi.Communicator],
) -> None:
    """A peer that is done goes on to the next job while the other is still in the one before."""
    done = threading.Event()

    def first() -> None:
        for number in range(2):
            comm = peer(0, 2)
            comm.send(number, 1, INT)
            comm.close()
            done.set()

    def second() -> list[int]:
        got = []
        for _ in range(2):
            comm = peer(1, 2)
            got.append(comm.recv(0, INT))
            assert done.wait(BOUND_S)
            comm.close()
        return got

    with ThreadPoolExecutor(2) as pool:
        sending, receiving = pool.submit(first), pool.submit(second)
        sending.result(BOUND_S)
        assert receiving.result(BOUND_S) == [0, 1]


@pytest.mark.parametrize("published", ["world size and rank", "event"])
def test_the_program_that_cai_runs_in_each_rank(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: str
) -> None:
    """A communicator from `fmi.json` beside the program, a barrier, and its times summed at 0."""
    (tmp_path / "fmi.json").write_text(json.dumps({"backends": backend(way)}))
    monkeypatch.chdir(tmp_path)
    secret = fmilib.derive_secret(DEPLOYMENT_SECRET, fmi_operations.COMM_NAME)
    monkeypatch.setenv("FMI_SECRET", secret.hex())
    size = 4

    def program(rank: int) -> Any:
        if published == "event":
            comm = fmi_operations.fmi_communicator({"world_size": str(size), "rank": str(rank)})
        else:
            comm = fmi_operations.fmi_communicator(size, rank)
        comm.hint(fmi.hints.fast)
        comm.barrier()
        total_time = 0.25 * (rank + 1)
        found = comm.reduce(total_time, 0, fmi.func(fmi.op.sum), DOUBLE)
        comm.close()
        return found

    with ThreadPoolExecutor(size) as pool:
        found = [one.result(BOUND_S) for one in [pool.submit(program, r) for r in range(size)]]
    assert found == [2.5, 0.0, 0.0, 0.0]
