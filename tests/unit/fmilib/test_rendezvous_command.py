"""`python -m fmilib.rendezvous`: starts only with a secret, says its port, ends on SIGTERM."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fmilib.rendezvous import __main__ as command
from fmilib_support.server import Rendezvous


@pytest.mark.parametrize("secret", ["", "00", "no hexadecimal at all, surely"])
def test_it_does_not_start_without_a_proper_secret(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMI_DEPLOYMENT_SECRET", secret)
    assert command.main(["--port", "0"]) == 2


def test_it_ends_in_good_order_on_sigterm() -> None:
    with Rendezvous() as server:
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 0


def test_its_environment_is_the_only_place_of_the_secret(rendezvous: Rendezvous) -> None:
    shown = Path(f"/proc/{rendezvous.pid}/cmdline").read_bytes()
    assert b"000102030405" not in shown
    assert "000102030405" not in rendezvous.log()
