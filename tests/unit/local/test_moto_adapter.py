"""The adapter fits the moto that is installed, and only that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

import moto
import pytest
from moto.awslambda.models import LambdaFunction

from cosmic_local import moto_adapter
from cosmic_local.errors import PayloadTooLarge, StackError, Throttled, UnknownFunction

NOBODY: Any = SimpleNamespace()


def test_the_installed_moto_is_the_one_it_was_written_for() -> None:
    assert moto.__version__.startswith(moto_adapter.SUPPORTED)


def test_everything_it_replaces_is_there_and_comes_back() -> None:
    before = LambdaFunction.invoke
    with moto_adapter.adapted(NOBODY):
        assert LambdaFunction.invoke is not before
    assert LambdaFunction.invoke is before


def test_another_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto, "__version__", "6.0.1")
    with pytest.raises(StackError, match=r"moto is 6\.0\.1"), moto_adapter.adapted(NOBODY):
        pass


def test_a_moto_that_lacks_something_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(LambdaFunction, "invoke")
    with (
        pytest.raises(StackError, match=r"no LambdaFunction\.invoke"),
        moto_adapter.adapted(NOBODY),
    ):
        pass


@pytest.mark.parametrize(
    ("failed", "total", "count", "percent", "expected"),
    [
        (0, 10, 0, 0.0, False),
        (1, 10, 0, 0.0, True),
        (1, 10, 0, 10.0, False),
        (2, 10, 0, 10.0, True),
        (10, 10, 0, 100.0, False),
        (2, 10, 2, 0.0, False),
        (3, 10, 2, 0.0, True),
        (3, 10, 2, 50.0, True),
        (3, 10, 5, 20.0, True),
        (3, 10, 5, 50.0, False),
    ],
)
def test_tolerance(failed: int, total: int, count: int, percent: float, expected: bool) -> None:
    assert moto_adapter.exceeds(failed, total, count, percent) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Throttled("f", 1, "r"), (429, "TooManyRequestsException")),
        (UnknownFunction("f"), (404, "ResourceNotFoundException")),
        (PayloadTooLarge("f"), (413, "RequestTooLargeException")),
        (StackError("f"), (500, "ServiceException")),
    ],
)
def test_errors_have_the_apis_names(error: Any, expected: tuple[int, str]) -> None:
    assert moto_adapter.api_error(error) == expected


def test_events_are_whole_and_ordered() -> None:
    bucket = SimpleNamespace(name="b", arn="arn:b", region_name="r", is_versioned=True)
    key = SimpleNamespace(name="manifests/a b+ü.json", size=3, etag='"e"', version_id="v")
    first, second = (
        moto_adapter.s3_event("s3:ObjectCreated:Put", bucket, key, "n")["Records"][0]
        for _ in range(2)
    )
    stored = first["s3"]["object"]
    assert first["eventName"] == "ObjectCreated:Put"
    assert stored["key"] == "manifests/a+b%2B%C3%BC.json"
    assert unquote_plus(stored["key"]) == key.name
    assert (stored["eTag"], stored["versionId"], stored["size"]) == ("e", "v", 3)
    assert second["s3"]["object"]["sequencer"] > stored["sequencer"]
    bucket.is_versioned = False
    plain = moto_adapter.s3_event("s3:ObjectCreated:Put", bucket, key, "n")["Records"][0]
    assert "versionId" not in plain["s3"]["object"]


@pytest.mark.parametrize("name", ["run-0123456789ab", "a" * 80, "x_y.z=1"])
def test_execution_names(name: str) -> None:
    assert moto_adapter.EXECUTION_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "a" * 81, "a b", "a:b", "a/b", "a*", "a\n"])
def test_execution_names_that_aws_refuses(name: str) -> None:
    assert not moto_adapter.EXECUTION_NAME.fullmatch(name)
