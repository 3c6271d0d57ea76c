"""Trees and partners, for any size and root."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmilib import topology

sizes = st.integers(1, 2000)


@given(sizes, st.data())
def test_a_tree_holds_every_rank_once_and_stays_in_the_graph(
    size: int, data: st.DataObject
) -> None:
    root = data.draw(st.integers(0, size - 1))
    seen, level, depth = {root}, [root], 0
    while level:
        below = []
        for rank in level:
            partners = set(topology.partners(rank, size))
            for child in topology.children(rank, size, root):
                assert topology.parent(child, size, root) == rank
                assert child in partners
                assert child not in seen
                seen.add(child)
                below.append(child)
        level, depth = below, depth + 1
    assert seen == set(range(size))
    assert depth <= topology.rounds(size) + 1


@given(sizes, st.data())
def test_partners_are_few_and_mutual(size: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, size - 1))
    partners = topology.partners(rank, size)
    assert len(partners) <= 2 * topology.rounds(size)
    assert all(rank in topology.partners(other, size) for other in partners)
