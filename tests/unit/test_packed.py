"""Contracts that are held as compressed text are the same as any others."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from pydantic import ValidationError

from cosmic.contracts.numerous import Numerous
from cosmic.contracts.packed import TOGETHER, Packed
from cosmic.contracts.rank_record import RankRecord
from report_support.samples import sample_record

COUNT = 2 * TOGETHER + 3


class Thing(Numerous):
    """Any of them."""

    number: int
    name: str = "thing"


def packed(count: int = COUNT) -> Packed[Thing]:
    return Packed(Thing, (b'{"number": %d}' % i for i in range(count)))


@pytest.mark.parametrize("count", [0, 1, TOGETHER, TOGETHER + 1, COUNT])
def test_they_are_a_sequence_like_a_list(count: int) -> None:
    things, expected = packed(count), [Thing(number=i) for i in range(count)]
    assert len(things) == count
    assert list(things) == expected
    assert [things[i] for i in reversed(range(count))] == expected[::-1]
    assert things[1:] == expected[1:]
    assert things[-3::2] == expected[-3::2]


@pytest.mark.parametrize("at", [COUNT, -COUNT - 1])
def test_there_is_none_beyond_the_last(at: int) -> None:
    with pytest.raises(IndexError):
        packed()[at]


def test_the_last_counts_from_the_end() -> None:
    assert packed()[-1] == Thing(number=COUNT - 1)


def test_who_goes_through_them_may_look_elsewhere_meanwhile() -> None:
    things = packed()
    assert [(each.number, things[0].number) for each in things] == [(i, 0) for i in range(COUNT)]


def test_what_is_no_such_contract_is_refused_where_it_is_looked_at() -> None:
    things = Packed(Thing, [b'{"number": "x"}'])
    with pytest.raises(ValidationError, match="number"):
        things[0]


def test_a_rank_s_record_takes_less_than_half_a_kilobyte() -> None:
    draw, count = np.random.default_rng(0), 20 * TOGETHER
    texts = [
        json.dumps(sample_record(rank, count, 5_000, draw).model_dump(mode="json"), indent=1)
        for rank in range(count)
    ]
    tracemalloc.start()
    records = Packed(RankRecord, (text.encode() for text in texts))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert [record.rank for record in records] == list(range(count))
    assert held < 500 * count
