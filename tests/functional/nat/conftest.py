"""Ranks on hosts of the lab; skipped where there can be no lab."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fmilib_support import natlab
from fmilib_support.fixtures import job
from fmilib_support.natlab import Lab
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

__all__ = ["World", "job", "make_world"]

WHY_NOT = natlab.why_not()
DETECT_S = 5.0


class World:
    """A lab, a rendezvous on its public network, and ranks on its hosts."""

    def __init__(self, lab: Lab, rendezvous: Rendezvous, ranks: Ranks, hosts: list[str]) -> None:
        self.lab = lab
        self.rendezvous = rendezvous
        self.ranks = ranks
        self._inside = {rank: lab.name(host) for rank, host in enumerate(hosts)}

    def start(self, scenario: str, ranks: list[int] | None = None, **how: Any) -> None:
        """Start ranks on a scenario, each in its host."""
        connect = {"detect_s": DETECT_S, **how.pop("connect", {})}
        self.ranks.start(scenario, ranks, inside=self._inside, connect=connect, **how)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(job: str) -> Iterator[MakeWorld]:
    """Worlds: `make_world(["l1", "r1"], left="symmetric", right="keeping")`."""
    if WHY_NOT is not None:
        pytest.skip(WHY_NOT)
    with ExitStack() as stack:

        def make(
            hosts: list[str],
            *options: str,
            left: str = "keeping",
            right: str = "keeping",
            meet: str = natlab.public("meet"),
        ) -> World:
            lab = stack.enter_context(Lab(left, right, hosts=2))
            rendezvous = stack.enter_context(
                Rendezvous(*options, host=meet, inside=lab.name("meet"))
            )
            ranks = Ranks(rendezvous, job, len(hosts))
            stack.callback(ranks.close)
            return World(lab, rendezvous, ranks, hosts)

        yield make
