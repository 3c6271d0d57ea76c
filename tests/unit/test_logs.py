"""The log of the package: quiet by default, on stderr when it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from botocore.exceptions import EndpointConnectionError

from cosmic.logs import VARIABLE, log_as_asked
from cosmic.storage.aws_errors import as_cosmic_error


@pytest.fixture(autouse=True)
def restored() -> Iterator[logging.Logger]:
    log = logging.getLogger("cosmic")
    handlers, level = list(log.handlers), log.level
    yield log
    log.handlers[:] = handlers
    log.setLevel(level)


@pytest.mark.parametrize(("level", "shown"), [("", False), ("info", True), ("error", False)])
def test_what_aws_answered_is_logged_if_asked(
    level: str, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_asked({VARIABLE: level})
    as_cosmic_error("s3://bucket/key", EndpointConnectionError(endpoint_url="http://s3"))
    captured = capsys.readouterr()
    assert ("s3://bucket/key" in captured.err) is shown
    assert captured.out == ""


def test_what_is_no_level_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="must be debug, info"):
        log_as_asked({VARIABLE: "loud"})
