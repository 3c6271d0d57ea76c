"""A rank's batches: whoever computes them, each planned row has one result, in its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosmic.contracts.plan import share_rows
from cosmic.ranks.balance.batch_queue import BatchQueue, worth_giving

seconds = st.floats(1e-3, 100)


@given(
    st.lists(st.integers(0, 300), max_size=4),
    st.integers(1, 5),
    st.integers(1, 64),
    st.data(),
)
def test_any_order_of_giving_returning_and_losing_covers_each_row_once(
    rows: list[int], world_size: int, batch_size: int, data: st.DataObject
) -> None:
    """What was given may come late, twice, or never; its owner may have computed it by then."""
    done = []
    for rank in share_rows(rows, world_size, batch_size):
        share: BatchQueue[int] = BatchQueue(rank.slices, batch_size)
        own: list[int] = []
        away: list[int] = []
        settled: set[int] = set()
        while share.open or share.missing:
            act = data.draw(st.sampled_from(["begin", "give", "come", "lose", "compute"]))
            if act == "begin" and share.begin():
                own.append(share.front - 1)
            elif act == "give":
                away += share.give(data.draw(st.integers(0, 4)))
            elif act == "come" and away:
                batch = data.draw(st.sampled_from(away))
                assert share.settle(batch, batch) == (batch not in settled)
                settled.add(batch)
            elif act == "lose" and away:
                away.remove(data.draw(st.sampled_from(away)))
            elif act == "compute" and not share.open and share.missing:
                settled.add(share.missing[-1])
                assert share.settle(share.missing[-1], share.missing[-1])
        done += [share.batches[b] for b in [*own, *share.results]]
    got = [(s.partition, row) for s in done for row in range(s.start, s.stop)]
    assert got == [(p, row) for p, n in enumerate(rows) for row in range(n)]


@given(st.integers(0, 500), seconds, seconds, seconds)
def test_giving_ends_sooner_than_keeping(
    left: int, own_s: float, helper_s: float, start_s: float
) -> None:
    count = worth_giving(left, own_s, helper_s, start_s)
    assert 0 <= count <= left
    if count:
        together_s = max((left - count) * own_s, start_s + count * helper_s)
        assert together_s < left * own_s


def test_a_rank_as_fast_as_its_helper_keeps_its_last_batch() -> None:
    assert worth_giving(1, own_s=1, helper_s=1, start_s=0.1) == 0
    assert worth_giving(1, own_s=4, helper_s=1, start_s=0.1) == 1
    assert worth_giving(20, own_s=1, helper_s=1, start_s=0.1) == 4
