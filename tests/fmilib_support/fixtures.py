"""Fixtures that the conftest files of fmilib's tests take over."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

_numbers = itertools.count()


@pytest.fixture(scope="session")
def rendezvous() -> Iterator[Rendezvous]:
    """Return a rendezvous that tests share and leave alone."""
    with Rendezvous() as server:
        yield server


@pytest.fixture
def own_rendezvous() -> Iterator[Rendezvous]:
    """Return a rendezvous that a test may kill."""
    with Rendezvous() as server:
        yield server


@pytest.fixture
def job() -> str:
    """Return a name that no other test uses."""
    return f"job-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def ranks(rendezvous: Rendezvous, job: str) -> Iterator[Callable[[int], Ranks]]:
    """Return a maker of ranks of this test's job; whatever is left of them is killed."""
    made: list[Ranks] = []

    def make(size: int) -> Ranks:
        made.append(Ranks(rendezvous, job, size))
        return made[-1]

    yield make
    for one in made:
        one.close()
