"""Ranks as processes: start them, talk to them, kill them, and read how each one ended."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import fmilib
from fmilib_support.server import Rendezvous

RESULT_S = 60.0
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", "fmilib_support.scenarios"])


@dataclass
class Outcome:
    """How a rank ended: its scenario's value, or its error and when it was raised."""

    rank: int
    value: Any = None
    error: BaseException | None = None
    at: float = 0.0
    leaks: list[str] = field(default_factory=list)


@dataclass
class Place:
    """What a scenario gets: its place in the job, and a line to the test."""

    rank: int
    size: int
    job: str
    address: str
    secret: bytes
    line: Connection
    connect_options: dict[str, Any]
    options: dict[str, Any]
    inside: str | None = None
    cloud: dict[str, str] = field(default_factory=dict)

    def connect(self, **more: Any) -> fmilib.Communicator:
        usual = {"timeout_s": 30.0, "detect_s": 5.0, "rendezvous": self.address}
        given = {**usual, **self.connect_options, **more}
        return fmilib.connect(self.rank, self.size, self.job, secret=self.secret, **given)

    def tell(self, word: Any) -> None:
        self.line.send(("word", word))

    def hear(self) -> Any:
        return self.line.recv()


class Ranks:
    """The processes of one job."""

    def __init__(self, rendezvous: Rendezvous, job: str, size: int) -> None:
        self._rendezvous = rendezvous
        self.job = job
        self.size = size
        self._processes: dict[int, Any] = {}
        self._lines: dict[int, Connection] = {}
        self._all: list[Any] = []

    def start(
        self, scenario: str, ranks: list[int] | None = None, secret: bytes | None = None, **how: Any
    ) -> None:
        """Start ranks (all, if not said) on a scenario.

        `connect=` holds options of connect, `inside=` the network namespace of each rank.
        """
        connect_options, inside = how.pop("connect", {}), how.pop("inside", {})
        for rank in range(self.size) if ranks is None else ranks:
            ours, theirs = _CONTEXT.Pipe()
            place = Place(
                rank, self.size, self.job, self._rendezvous.address,
                secret or self._rendezvous.secret(self.job), theirs, connect_options, how,
                inside.get(rank), _cloud(),
            )  # fmt: skip
            process = _CONTEXT.Process(target=_rank_main, args=(scenario, place))
            process.start()
            theirs.close()
            self._processes[rank], self._lines[rank] = process, ours
            self._all.append((process, ours))

    def hear(self, rank: int, word: Any, within_s: float = RESULT_S) -> None:
        """Wait until a rank says `word`."""
        line = self._lines[rank]
        assert line.poll(within_s), f"rank {rank} didn't say {word!r}"
        said = line.recv()
        assert said == ("word", word), said

    def ask(self, rank: int) -> Any:
        """Return the next word of a rank."""
        assert self._lines[rank].poll(RESULT_S), f"rank {rank} says nothing"
        kind, word = self._lines[rank].recv()
        assert kind == "word", word
        return word

    def tell(self, rank: int, word: Any) -> None:
        self._lines[rank].send(word)

    def signal(self, rank: int, number: signal.Signals) -> float:
        """Send a rank a signal; return when."""
        os.kill(self._processes[rank].pid, number)
        return time.monotonic()

    def outcome(self, rank: int, within_s: float = RESULT_S) -> Outcome:
        """Return how a rank ended; words that it said meanwhile are dropped."""
        until = time.monotonic() + within_s
        while True:
            assert self._lines[rank].poll(max(0.0, until - time.monotonic())), f"rank {rank} hangs"
            message = self._lines[rank].recv()
            if isinstance(message, Outcome):
                assert not message.leaks, message
                return message

    def outcomes(self, ranks: list[int] | None = None) -> list[Outcome]:
        return [self.outcome(rank) for rank in (range(self.size) if ranks is None else ranks)]

    def values(self) -> list[Any]:
        """Return each rank's value; an error of a rank is raised here."""
        found = self.outcomes()
        for outcome in found:
            if outcome.error is not None:
                raise outcome.error
        return [outcome.value for outcome in found]

    def close(self) -> None:
        for process, line in self._all:
            process.kill()
            process.join(RESULT_S)
            process.close()
            line.close()


def _rank_main(scenario: str, place: Place) -> None:
    from fmilib_support import natlab, scenarios

    warnings.simplefilter("error")
    if place.inside is not None:
        natlab.enter(place.inside)
    os.environ.update(place.cloud)
    before = _descriptors()
    outcome = Outcome(place.rank)
    try:
        outcome.value = getattr(scenarios, scenario)(place)
    except (fmilib.FmiError, AssertionError, ValueError, TypeError) as error:
        outcome.error, outcome.at = error.with_traceback(None), time.monotonic()
    gc.collect()
    outcome.leaks = sorted(_descriptors() - before)
    outcome.leaks += [thread.name for thread in threading.enumerate()[1:]]
    place.line.send(outcome)


def _cloud() -> dict[str, str]:
    """Return what AWS clients read; a fork server keeps the environment that it began with."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _descriptors() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name}: {entry.readlink()}")
        except FileNotFoundError:  # the listing's own
            continue
    return found
