"""`python -m fmilib.rendezvous`: starts only with a secret, says its port, ends on SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

import fmilib
from fmilib.rendezvous import __main__ as command
from fmilib_support.server import Rendezvous


@pytest.mark.parametrize("secret", ["", "00", "no hexadecimal at all, surely"])
def test_it_does_not_start_without_a_proper_secret(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMI_DEPLOYMENT_SECRET", secret)
    assert command.main(["--port", "0"]) == 2


def test_it_says_its_version_without_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fmilib {fmilib.__version__}\n"


def test_it_ends_in_good_order_on_sigterm() -> None:
    with Rendezvous() as server:
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 0


def test_its_environment_is_the_only_place_of_the_secret(rendezvous: Rendezvous) -> None:
    shown = Path(f"/proc/{rendezvous.pid}/cmdline").read_bytes()
    assert b"000102030405" not in shown
    assert "000102030405" not in rendezvous.log()


@pytest.mark.parametrize(
    ("error", "level"),
    [(OSError(errno.ENOTCONN, "gone"), "INFO"), (OSError(errno.EBADF, "bug"), "ERROR")],
)
def test_only_a_connection_that_has_gone_is_no_error(
    caplog: pytest.LogCaptureFixture, error: OSError, level: str
) -> None:
    loop = asyncio.new_event_loop()
    with caplog.at_level("INFO"):
        command.report(loop, {"message": "in a callback", "exception": error})
    loop.close()
    assert [record.levelname for record in caplog.records] == [level]
