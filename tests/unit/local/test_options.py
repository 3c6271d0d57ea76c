"""A stack's options survive the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmic_local.errors import StackError
from cosmic_local.options import StackOptions


def test_options_come_back_as_they_were() -> None:
    options = StackOptions(
        template=Path("t.yaml"),
        state_dir=Path("/s"),
        parameters={"A": "1=2", "B": ""},
        environment={"C": "x y"},
        concurrency=7,
        rendezvous=True,
        name="n",
        region="eu-west-1",
        port=5001,
        idle_s=2.5,
        data=Path("/d"),
        detached=True,
    )
    assert StackOptions.parse(options.arguments()) == options


def test_defaults_come_back_as_they_were() -> None:
    options = StackOptions(template=Path("t.yaml"), state_dir=Path("/s"))
    assert StackOptions.parse(options.arguments()) == options


def test_a_pair_without_value_is_refused() -> None:
    with pytest.raises(StackError, match="NAME=VALUE"):
        StackOptions.parse(["--template", "t", "--state-dir", "s", "--parameter", "A"])
