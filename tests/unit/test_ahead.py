"""One item ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cosmic.data.pack.ahead import ahead


def test_items_are_the_same_and_made_in_one_other_thread() -> None:
    threads = set()

    def made() -> Iterator[int]:
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    assert list(ahead(made())) == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_the_next_one_is_made_meanwhile_and_no_more_than_that() -> None:
    began = [threading.Event() for _ in range(3)]

    def made() -> Iterator[int]:
        for number, event in enumerate(began):
            event.set()
            yield number

    coming = ahead(made())
    assert next(coming) == 0
    assert began[1].wait(30)
    assert not began[2].is_set()
    assert list(coming) == [1, 2]


def test_an_error_comes_in_the_place_of_its_item() -> None:
    def made() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    coming = ahead(made())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="the second"):
        next(coming)


def test_no_thread_is_left_where_not_all_is_taken() -> None:
    before = threading.active_count()
    coming = ahead(iter(range(50)))
    next(coming)
    coming.close()
    assert threading.active_count() == before
