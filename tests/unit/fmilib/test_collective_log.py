"""What the rendezvous concludes from what ranks say they do."""

from __future__ import annotations

import pytest

from fmilib.rendezvous.collective_log import MAX_CALLS, CollectiveLog
from fmilib.wire import frames
from fmilib.wire.frames import Operation


def call(operation: Operation, number: int, context: int = 0) -> str:
    return frames.collective(operation, number, root=1, context=context).stamp.hex()


def test_ranks_in_one_call_agree() -> None:
    doing = CollectiveLog()
    for rank in range(3):
        assert doing.says(rank, [call(Operation.BCAST, 5)]) is None


def test_two_ranks_in_different_calls_are_named() -> None:
    doing = CollectiveLog()
    assert doing.says(0, [call(Operation.BCAST, 5)]) is None
    assert doing.says(1, [call(Operation.GATHER, 6)]) is None
    found = doing.says(2, [call(Operation.GATHER, 5)])
    assert found is not None
    assert (found.kind, found.rank) == ("mismatch", 2)
    assert "rank 0 called bcast" in found.words
    assert "rank 2 called gather" in found.words


def test_groups_that_were_split_off_may_differ() -> None:
    doing = CollectiveLog()
    assert doing.says(0, [call(Operation.BCAST, 1, context=4)]) is None
    assert doing.says(1, [call(Operation.GATHER, 1, context=4)]) is None


def test_a_rank_that_went_on_to_the_next_call_is_still_told_apart() -> None:
    doing = CollectiveLog()
    assert doing.says(0, [call(Operation.BCAST, 5)]) is None
    found = doing.says(1, [call(Operation.GATHER, 5), call(Operation.BARRIER, 6)])
    assert found is not None
    assert "rank 1 called gather" in found.words


@pytest.mark.parametrize(
    "said", [None, "", 7, [7], [["00"]], "00" * 32, ["zz" * 32], ["00" * 31], ["00" * 32]]
)
def test_nonsense_says_nothing(said: object) -> None:
    assert CollectiveLog().says(0, said) is None


def test_old_calls_are_forgotten() -> None:
    doing = CollectiveLog()
    for number in range(MAX_CALLS + 2):
        assert doing.says(0, [call(Operation.BCAST, number)]) is None
    assert doing.says(1, [call(Operation.GATHER, 0)]) is None
