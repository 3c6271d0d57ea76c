"""Replies come in order, and no more of them wait than may."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cosmic.abreast import THREADS, WAITING, abreast


def test_replies_come_in_the_order_of_what_was_asked() -> None:
    assert list(abreast(lambda n: 2 * n, range(500))) == list(range(0, 1000, 2))
    assert list(abreast(lambda n: n, ())) == []


def test_they_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(THREADS)
    assert len(list(abreast(lambda _: together.wait(20), range(THREADS)))) == THREADS


def test_no_more_is_asked_than_somebody_takes() -> None:
    asked = 0

    def items() -> Iterator[int]:
        nonlocal asked
        for number in range(10 * WAITING):
            asked = number + 1
            yield number

    for taken, _ in enumerate(abreast(lambda n: n, items()), start=1):
        assert asked <= taken + WAITING


def test_an_error_comes_where_its_reply_would() -> None:
    def ask(number: int) -> int:
        if number == 3:
            raise KeyError(number)
        return number

    replies = abreast(ask, range(10))
    assert [next(replies) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(replies)


def test_what_has_not_begun_when_it_is_closed_never_does() -> None:
    begun: list[int] = []
    going, go_on = threading.Event(), threading.Event()

    def ask(number: int) -> int:
        begun.append(number)
        if number == 1:
            going.set()
            assert go_on.wait(20)
        return number

    replies = abreast(ask, range(10), threads=1, waiting=4)
    assert next(replies) == 0
    assert going.wait(20)
    closing = threading.Timer(0.05, go_on.set)
    closing.start()
    replies.close()
    assert go_on.is_set()
    assert begun == [0, 1]
