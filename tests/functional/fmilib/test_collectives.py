"""Every collective against its closed form, on real processes, for any number of ranks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import fmilib
from fmilib import topology
from fmilib_support.ranks import Ranks

Maker = Callable[[int], Ranks]


@pytest.mark.parametrize("size", [2, 7, 8, pytest.param(16, marks=pytest.mark.long)])
def test_trees_and_rounds_take_few_links(ranks: Maker, size: int) -> None:
    job = ranks(size)
    job.start("closed_forms", counts=[0, 64])
    links = job.values()
    assert max(links) <= (size - 1 if topology.star(size) else 2 * topology.rounds(size))


@pytest.mark.parametrize("size", [3, 4, pytest.param(6, marks=pytest.mark.long)])
def test_closed_forms_of_large_arrays(ranks: Maker, size: int) -> None:
    job = ranks(size)
    job.start("closed_forms", counts=[300_007])
    job.values()


@pytest.mark.parametrize("integrity", ["full", "header"])
def test_every_integrity_carries_the_same(ranks: Maker, integrity: str) -> None:
    job = ranks(3)
    job.start("closed_forms", counts=[10, 100_000], connect={"integrity": integrity})
    job.values()


@pytest.mark.parametrize("size", [2, 5])
def test_any_rank_sends_to_any_rank_by_tag(ranks: Maker, size: int) -> None:
    job = ranks(size)
    job.start("pass_around")
    assert job.values() == [size - 1] * size


@pytest.mark.parametrize("size", [2, 3, pytest.param(5, marks=pytest.mark.long)])
def test_ranks_send_much_to_each_other_at_once(ranks: Maker, size: int) -> None:
    job = ranks(size)
    job.start("swaps")
    assert job.values() == [size] * size


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("size", [5, pytest.param(8, marks=pytest.mark.long)])
def test_all_ranks_get_the_same_bits(ranks: Maker, size: int, deterministic: bool) -> None:
    job = ranks(size)
    job.start("same_bits", deterministic=deterministic)
    found = job.values()
    assert found == [found[0]] * size
    if deterministic:
        assert found[0] == _left_to_right(size)


def _left_to_right(size: int) -> bytes:
    generators = [np.random.default_rng(rank) for rank in range(size)]
    results = []
    for count in (3, 5000, 100_001):
        arrays = [
            (rng.standard_normal(count) * 10.0 ** rng.integers(-8, 8, count)).astype("f4")
            for rng in generators
        ]
        total = arrays[0]
        for array in arrays[1:]:
            total = total + array
        results.append(total)
    return b"".join(array.tobytes() for array in results)


@pytest.mark.parametrize("size", [3, 8])
def test_functions_are_applied_in_rank_order(ranks: Maker, size: int) -> None:
    job = ranks(size)
    job.start("in_order")
    minus = 1.0 - sum(range(2, size + 1))
    product = np.eye(2)
    for rank in range(size):
        product = product @ np.array([[1.0, rank], [1.0, 1.0]])
    assert job.values() == [([minus], product.tolist())] * size


def test_bad_arguments_are_refused_and_do_no_harm(ranks: Maker) -> None:
    job = ranks(3)
    job.start("bad_arguments")
    assert job.values() == [3, 3, 3]


def test_a_rank_may_leave_when_others_have_what_they_need(ranks: Maker) -> None:
    job = ranks(4)
    job.start("leave_early")
    assert job.values() == [4, 4, 4, 4]


def test_what_was_sent_arrives_after_its_sender_left(ranks: Maker) -> None:
    job = ranks(2)
    job.start("give_and_go")
    job.hear(0, "connected")
    job.tell(0, "read")
    assert job.values() == [(1 << 20) * ((1 << 20) - 1) // 2, None]


def test_one_rank_needs_no_rendezvous() -> None:
    with fmilib.connect(0, 1) as comm:
        comm.barrier()
        value = {"a": [1, 2]}
        assert comm.bcast(value) is value
        gathered = comm.gather(value)
        assert gathered is not None
        assert gathered[0] is value
        assert comm.allreduce(3) == 3
        assert comm.allreduce(np.arange(4.0), deterministic=True).tolist() == [0, 1, 2, 3]
        comm.send("to myself", 0)
        assert comm.recv(0) == "to myself"
        assert comm.stats().ops["allreduce"].calls == 2
    with pytest.raises(ValueError, match="closed"):
        comm.barrier()


def test_one_rank_that_waits_for_itself_is_told_so() -> None:
    with fmilib.connect(0, 1) as comm, pytest.raises(fmilib.Timeout):
        comm.recv(0)
