"""Plans: every row exactly once, in order, balanced, on a grid that ignores the world size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosmic.contracts.numbered_sets import MOST_HOLES, missing_from_numbered_set, natural_order
from cosmic.contracts.plan import limit_rows, share_rows, used_ranks

partition_rows = st.lists(st.integers(0, 700), max_size=12)
world_sizes = st.integers(1, 40)
batch_sizes = st.integers(1, 130)


@given(partition_rows, world_sizes, batch_sizes)
def test_every_row_is_planned_once_and_in_order(
    rows: list[int], world_size: int, batch_size: int
) -> None:
    planned = [
        (s.partition, row)
        for rank in share_rows(rows, world_size, batch_size)
        for s in rank.slices
        for row in range(s.start, s.stop)
    ]
    assert planned == [(p, row) for p, n in enumerate(rows) for row in range(n)]


@given(partition_rows, world_sizes, batch_sizes)
def test_ranks_are_numbered_and_differ_by_one_batch_at_most(
    rows: list[int], world_size: int, batch_size: int
) -> None:
    ranks = share_rows(rows, world_size, batch_size)
    assert [r.rank for r in ranks] == list(range(world_size))
    batches = [sum(-(-(s.stop - s.start) // batch_size) for s in r.slices) for r in ranks]
    assert max(batches) - min(batches) <= 1


@given(partition_rows, world_sizes, batch_sizes)
def test_cuts_fall_on_the_partitions_own_grid(
    rows: list[int], world_size: int, batch_size: int
) -> None:
    for rank in share_rows(rows, world_size, batch_size):
        for s in rank.slices:
            assert s.start % batch_size == 0
            assert s.stop % batch_size == 0 or s.stop == rows[s.partition]


@given(partition_rows, st.integers(1, 3000))
def test_a_limit_takes_the_first_rows(rows: list[int], limit: int) -> None:
    taken = limit_rows(rows, limit)
    assert sum(taken) == min(limit, sum(rows))
    expected = [(p, row) for p, n in enumerate(rows) for row in range(n)][:limit]
    assert [(p, row) for p, n in enumerate(taken) for row in range(n)] == expected


@given(st.sets(st.integers(0, 300), min_size=2), st.sampled_from(["", "data/", "a/7/"]))
def test_exactly_the_holes_of_a_numbered_set_are_missing(numbers: set[int], folder: str) -> None:
    keys = [f"{folder}{n}.safetensors" for n in numbers]
    holes = sorted(set(range(min(numbers), max(numbers))) - numbers)
    first = [f"{folder}{n}.safetensors" for n in holes[:MOST_HOLES]]
    assert missing_from_numbered_set(keys) == (len(holes), first)


def test_a_stray_number_costs_no_time() -> None:
    count, first = missing_from_numbered_set(["1.pt", f"{10**300}.pt"])
    assert (count, len(first)) == (10**300 - 2, MOST_HOLES)


@given(partition_rows, st.integers(1, 10_000), batch_sizes)
def test_every_rank_has_rows(rows: list[int], world_size: int, batch_size: int) -> None:
    used, warnings = used_ranks(world_size, rows, batch_size)
    assert 1 <= used <= world_size
    assert bool(warnings) == (used < world_size)
    if sum(rows):
        assert all(rank.rows for rank in share_rows(rows, used, batch_size))


def test_padded_numbers_keep_their_padding() -> None:
    assert missing_from_numbered_set(["d/001.pt", "d/003.pt"]) == (1, ["d/002.pt"])


def test_names_that_are_no_numbers_have_no_holes() -> None:
    assert missing_from_numbered_set(["a.pt", "c.pt"]) == (0, [])


def test_natural_order() -> None:
    assert natural_order(["10.pt", "2.pt", "1.pt"]) == ["1.pt", "2.pt", "10.pt"]
