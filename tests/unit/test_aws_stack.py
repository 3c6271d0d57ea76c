"""A stack in AWS, where AWS is not set up on this machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cosmic.client.delete_data import remains
from cosmic.client.stack import aws_stack
from cosmic.errors import InputError

Found = Callable[[str, str | None, str | None], object]


@pytest.fixture(autouse=True)
def _nothing_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize("find", [aws_stack, remains])
@pytest.mark.parametrize(
    ("profile", "region", "code", "way_out"),
    [
        (None, None, "aws-configuration", "--region"),
        ("nobody", "eu-west-1", "aws-configuration", "--profile"),
        (None, "eu-west-1", "aws-credentials", "aws configure"),
    ],
)
def test_what_is_not_set_up_is_said_the_same_by_every_command(
    find: Found, profile: str | None, region: str | None, code: str, way_out: str
) -> None:
    with pytest.raises(InputError) as caught:
        find("cosmic", profile, region)
    assert caught.value.code == code
    assert way_out in (caught.value.hint or "")
