"""Time that several threads are busy counts once."""

from __future__ import annotations

from contextlib import suppress

import pytest

from cosmic.data.busy_clock import BusyClock, BusyTime


def test_each_moment_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, cpu = [0.0], [100.0]
    monkeypatch.setattr("cosmic.data.busy_clock.time.monotonic", lambda: wall[0])
    monkeypatch.setattr("cosmic.data.busy_clock.time.process_time", lambda: cpu[0])
    clock = BusyClock()
    with clock.running():
        wall[0], cpu[0] = 1, 102
        with clock.running():
            wall[0], cpu[0] = 3, 105
            assert clock.total == BusyTime(3, 5)
        wall[0], cpu[0] = 4, 106
    wall[0], cpu[0] = 10, 110
    with suppress(KeyError), clock.running():
        wall[0], cpu[0] = 12, 111
        raise KeyError
    assert clock.total == BusyTime(6, 7)


def test_half_of_those_that_can_be_busy_count_half(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("cosmic.data.busy_clock.time.monotonic", lambda: now[0])
    clock = BusyClock(at_once=2)
    with clock.running():
        now[0] = 2
        with clock.running():
            now[0] = 5
            with clock.running():  # waits for one of the two
                now[0] = 6
    now[0] = 10
    assert clock.total.wall_s == 2 / 2 + 3 + 1
