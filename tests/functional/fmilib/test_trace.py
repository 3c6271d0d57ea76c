"""What happens between ranks is told to a hook and to the log, and to nobody unasked."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import fmilib
from fmilib.trace import VARIABLE, Trace, log, log_as_asked
from fmilib_support.server import DEPLOYMENT_SECRET, Rendezvous
from fmilib_support.threads import Crew

Event = tuple[str, dict[str, Any]]


class Seen:
    """A hook that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        self.events.append((event, dict(facts)))

    def named(self, name: str) -> list[dict[str, Any]]:
        """The facts of the events of one name."""
        return [facts for event, facts in self.events if event == name]


@pytest.fixture
def restored_log() -> Iterator[logging.Logger]:
    """The logger of fmilib, given back as it was."""
    handlers, level = list(log.handlers), log.level
    yield log
    log.handlers[:] = handlers
    log.setLevel(level)


def linked(job: str, rendezvous: Rendezvous, odd: int | None = None) -> dict[int, Seen]:
    """Two ranks that meet at a barrier; one covers payloads otherwise, if it is `odd`."""
    seen = {0: Seen(), 1: Seen()}
    options = {"rendezvous": rendezvous.address, "detect_s": 2.0, "timeout_s": 10.0}
    crew = Crew(options, job, 2)
    for rank, hook in seen.items():
        integrity = "header" if rank == odd else "full"
        crew.start(rank, lambda comm: comm.barrier(), trace=hook, integrity=integrity)
    failed = [end for end in crew.ends().values() if end.error is not None]
    assert bool(failed) is (odd is not None)
    return seen


def test_the_way_to_a_link_is_told(job: str, rendezvous: Rendezvous) -> None:
    seen = linked(job, rendezvous)
    names = [event for event, _ in seen[0].events]
    expected = [
        "rendezvous.registered",
        "job.formed",
        "path.started",
        "handshake.started",
        "link.established",
    ]
    assert [name for name in names if name in expected] == expected
    assert seen[0].named("link.established") == [{"peer": 1, "path": "direct"}]
    assert seen[1].named("link.established") == [{"peer": 0, "path": "direct"}]
    assert not seen[0].named("job.failed")


def test_a_link_that_fails_says_what_every_path_met(
    job: str, rendezvous: Rendezvous, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="fmilib"):
        seen = linked(job, rendezvous, odd=1)
    tried = {facts["path"] for facts in seen[0].named("path.failed")}
    assert tried == {"direct", "punched", "relayed"}
    (unreachable,) = seen[0].named("peer.unreachable")
    for path in tried:
        assert f"{path}: " in unreachable["tried"]
    assert seen[0].named("job.failed")
    logged = [r.getMessage() for r in caplog.records if "peer.unreachable" in r.getMessage()]
    assert logged
    assert unreachable["tried"] in logged[0]
    assert job in logged[0]


@pytest.mark.parametrize("channel", ["local", "direct"])
def test_a_connect_that_fails_says_so_over_every_channel(
    job: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, channel: str
) -> None:
    """Nobody else comes to the folder; nothing answers as rendezvous."""
    hook = Seen()
    with caplog.at_level(logging.WARNING, logger="fmilib"), pytest.raises(fmilib.FmiError) as seen:
        fmilib.connect(
            0, 2, job, secret=bytes(16), channel=channel, store=str(tmp_path),
            rendezvous="127.0.0.1:9", timeout_s=0.3, trace=hook,
        )  # fmt: skip
    (failed,) = hook.named("connect.failed")
    assert failed["channel"] == channel
    assert failed["error"] is seen.value
    assert "connect.failed" in caplog.text


def test_no_secret_is_ever_told(
    job: str, rendezvous: Rendezvous, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="fmilib"):
        seen = linked(job, rendezvous)
    secret = fmilib.derive_secret(DEPLOYMENT_SECRET, job)
    told = repr([hook.events for hook in seen.values()]) + caplog.text
    assert "link.established" in told
    for hidden in (secret, DEPLOYMENT_SECRET):
        assert hidden.hex() not in told
        assert repr(hidden) not in told


@pytest.mark.parametrize(("level", "shown"), [(None, False), ("info", True), ("error", False)])
def test_the_log_is_quiet_unless_asked(job: str, level: str | None, shown: bool) -> None:
    program = f"import fmilib; fmilib.connect(0, 1, {job!r}).abort('enough')"
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **({VARIABLE: level} if level else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("job.failed" in done.stderr) is shown
    assert bool(done.stderr) is shown
    assert done.stdout == ""


def test_a_hook_that_raises_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: str, facts: Mapping[str, Any]) -> None:
        raise RuntimeError(f"no room for {event}")

    with caplog.at_level(logging.ERROR, logger="fmilib"):
        Trace("job", 0, broken)("link.established", peer=1)
    assert "no room for link.established" in caplog.text


def test_one_handler_however_often_it_is_asked_for(restored_log: logging.Logger) -> None:
    for _ in range(3):
        log_as_asked({VARIABLE: "debug"})
    named = [handler for handler in restored_log.handlers if handler.get_name() == VARIABLE]
    assert len(named) == 1
    assert restored_log.level == logging.DEBUG


def test_what_is_no_level_and_no_hook_is_refused() -> None:
    with pytest.raises(ValueError, match="must be debug, info"):
        log_as_asked({VARIABLE: "loud"})
    with pytest.raises(ValueError, match="trace must be callable"):
        fmilib.connect(0, 1, "job", trace=3)  # type: ignore[arg-type]
