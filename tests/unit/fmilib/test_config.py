"""Settings: arguments before variables before defaults; what can't be is refused by name."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fmilib.config import settings

GIVEN: dict[str, Any] = {
    "rank": 1, "size": 4, "job": "run", "secret": bytes(32), "rendezvous": "host:7600",
}  # fmt: skip


def test_defaults() -> None:
    found = settings(GIVEN, {})
    assert (found.host, found.port, found.generation) == ("host", 7600, 0)
    assert (found.timeout_s, found.detect_s, found.deadline) == (60.0, 10.0, None)
    assert (found.channel, found.integrity) == ("direct", "full")


def test_everything_can_come_from_variables() -> None:
    variables = {
        "FMI_RANK": "2", "FMI_SIZE": "3", "FMI_JOB": "j", "FMI_SECRET": "00" * 16,
        "FMI_RENDEZVOUS": "[::1]:9", "FMI_GENERATION": "7", "FMI_TIMEOUT_S": "1.5",
        "FMI_DETECT_S": "2", "FMI_INTEGRITY": "header", "FMI_BIND": "127.0.0.2",
        "FMI_ADVERTISE": "10.0.0.1", "FMI_CHANNEL": "direct",
    }  # fmt: skip
    found = settings({}, variables)
    assert (found.rank, found.size, found.job, found.secret) == (2, 3, "j", bytes(16))
    assert (found.host, found.port, found.generation) == ("::1", 9, 7)
    assert (found.timeout_s, found.detect_s, found.integrity) == (1.5, 2.0, "header")
    assert (found.bind, found.advertise) == ("127.0.0.2", "10.0.0.1")


def test_arguments_win_over_variables() -> None:
    assert settings(GIVEN, {"FMI_RANK": "3"}).rank == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rank": 4}, "rank must be 0..3"),
        ({"rank": -1}, "rank must be 0..3"),
        ({"rank": None}, "rank is missing"),
        ({"rank": "one"}, "whole number"),
        ({"size": 0}, "size must be"),
        ({"job": ""}, "job must be"),
        ({"job": "x" * 257}, "job must be"),
        ({"secret": b"short"}, "secret must be"),
        ({"secret": "no hex"}, "hexadecimal"),
        ({"rendezvous": "host"}, "host:port"),
        ({"rendezvous": "host:0"}, "host:port"),
        ({"generation": -1}, "generation"),
        ({"rendezvous": "http://host:7600"}, "without http://"),
        ({"rendezvous": "http://host:7600/"}, "without http://"),
        ({"rendezvous": "tcp://[::1]:7600"}, "without http://"),
        ({"rendezvous": "user@host:7600"}, "host:port"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "inf"}, "at most 604800"),
        ({"timeout_s": 1e10}, "at most 604800"),
        ({"timeout_s": "nan"}, "timeout_s"),
        ({"detect_s": 1e6}, "detect_s must be above 0 and at most 86400"),
        ({"detect_s": "inf"}, "detect_s"),
        ({"remaining_s": "inf"}, "finite"),
        ({"deadline": "nan"}, "finite"),
        ({"timeout_s": "soon"}, "number of seconds"),
        ({"detect_s": -1}, "detect_s"),
        ({"channel": "pigeon"}, "channel"),
        ({"integrity": "none"}, "integrity"),
        ({"deadline": 1.0, "remaining_s": 1.0}, "not both"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings({**GIVEN, **change}, {})


def test_a_reserve_shortens_the_time_that_remains() -> None:
    before = time.monotonic()
    found = settings({**GIVEN, "remaining_s": 10.0, "reserve_s": 3.0}, {})
    assert found.deadline is not None
    assert 7.0 <= found.deadline - before < 8.0
    assert settings({**GIVEN, "deadline": 5.0, "reserve_s": 1.0}, {}).deadline == 4.0


def test_one_rank_needs_neither_secret_nor_rendezvous() -> None:
    assert settings({"rank": 0, "size": 1}, {}).size == 1


def test_a_secret_is_never_shown() -> None:
    shown = repr(settings({**GIVEN, "secret": b"S" * 32}, {}))
    assert "SSSS" not in shown
    assert "53535353" not in shown
