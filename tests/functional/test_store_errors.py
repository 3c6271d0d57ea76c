"""Every method of the store against every kind of refusal, in the place of a real S3's replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from s3transfer.manager import TransferCoordinatorController
from urllib3.response import HTTPResponse

from cosmic.contracts.location import Location
from cosmic.errors import CosmicError, InputError, TransientError
from cosmic.storage.objects import Store

Call = Callable[[Store, Location, Path], Any]
CALLS: dict[str, Call] = {
    "get": lambda store, at, _: store.get(at),
    "get_described": lambda store, at, _: store.get_described(at),
    "get_range": lambda store, at, _: store.get_range(at, 0, 4, etag="e"),
    "read_into": lambda store, at, _: store.read_into(memoryview(bytearray(4)), at, 0, etag="e"),
    "head": lambda store, at, _: store.head(at),
    "list": lambda store, at, _: list(store.list(at)),
    "keys_beginning": lambda store, at, _: store.keys_beginning(at, 1),
    "put": lambda store, at, _: store.put(at, b"x"),
    "put_version": lambda store, at, _: store.put_version(at, b"x"),
    "put_once": lambda store, at, _: store.put_once(at, b"x"),
    "get_current": lambda store, at, _: store.get_current(at),
    "replace": lambda store, at, _: store.replace(at, b"x", "e"),
    "delete": lambda store, at, _: store.delete(at),
    "mark_scratch": lambda store, at, _: store.mark_scratch(at),
    "put_json": lambda store, at, _: store.put_json(at, {}),
    "put_json_list": lambda store, at, _: store.put_json_list(at, {}, "ranks", []),
    "upload": lambda store, at, path: store.upload(path, at),
    "metadata": lambda store, at, _: store.metadata(at),
    "writer": lambda store, at, _: store.writer(at).commit(at),
    "download": lambda store, at, path: store.download(at, path),
}
TRANSIENT = {
    "SlowDown": 503,
    "InternalError": 500,
    "NeverHeardOf": 504,
    "TooManyRequests": 429,
    "RequestTimeout": 400,
    "OperationAborted": 409,
    "ConditionalRequestConflict": 409,
    "no connection": 0,
}
PERMANENT = {
    "AccessDenied": 403,
    "InvalidObjectState": 403,
    "NoSuchBucket": 404,
    "MethodNotAllowed": 405,
    "PermanentRedirect": 301,
    "KMS.DisabledException": 400,
    "KeyTooLongError": 400,
    "SomethingNew": 400,
    "SomethingNewer": 422,
}


class Refusing:
    """A client's end of the line at which replies are replaced."""

    def __init__(self) -> None:
        self.code, self.status, self.sent = "", 0, 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        """The reply in the place of S3's."""
        self.sent += 1
        if not self.status:
            raise EndpointConnectionError(endpoint_url=request.url)
        body = f"<Error><Code>{self.code}</Code><Message>its words</Message></Error>".encode()
        unread = BytesIO(b"" if request.method == "HEAD" else body)
        raw = HTTPResponse(unread, preload_content=False)
        where = {"x-amz-bucket-region": "eu-west-1"}  # without it, botocore asks without end
        return AWSResponse(request.url, self.status, where, raw)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def refusing() -> Refusing:
    return Refusing()


@pytest.fixture(scope="module")
def refused_store(aws_endpoint: str, refusing: Refusing) -> Iterator[Store]:
    client = boto3.client(
        "s3",
        endpoint_url=aws_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    events: Any = client.meta.events
    events.register("before-send.s3", refusing)
    yield Store(client)
    client.close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmic.storage.objects.RESUME_PAUSE_S", 0)


def refusal(store: Store, method: str, folder: Path) -> CosmicError:
    path = folder / "file"
    path.write_bytes(b"x")
    with pytest.raises(CosmicError) as caught:
        CALLS[method](store, Location("bucket", "key"), path)
    return caught.value


@pytest.mark.parametrize("method", CALLS)
def test_what_may_go_away_is_transient_in_every_method(
    refused_store: Store, refusing: Refusing, tmp_path: Path, method: str
) -> None:
    families = {}
    for refusing.code, refusing.status in TRANSIENT.items():
        families[refusing.code] = type(refusal(refused_store, method, tmp_path))
    assert families == dict.fromkeys(TRANSIENT, TransientError)


@pytest.mark.parametrize("method", CALLS)
def test_what_no_retry_mends_is_the_users_in_every_method(
    refused_store: Store, refusing: Refusing, tmp_path: Path, method: str
) -> None:
    for refusing.code, refusing.status in PERMANENT.items():
        error = refusal(refused_store, method, tmp_path)
        assert isinstance(error, InputError), refusing.code
        assert "its words" in error.message
        assert refusing.code in error.message


def test_a_transfer_whose_threads_end_late_does_not_hide_what_s3_answered(
    refused_store: Store,
    refusing: Refusing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The state in which boto3's own `upload_file` forgets the error that it wraps."""
    monkeypatch.setattr(TransferCoordinatorController, "remove_transfer_coordinator", lambda *_: 0)
    refusing.code, refusing.status = "KeyTooLongError", 400
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(InputError) as caught:  # a small file goes by threads if they are watched
        refused_store.upload(path, Location("bucket", "key"), seen=lambda _: None)
    assert caught.value.code == "bad-name"


def test_every_method_of_the_store_is_tried() -> None:
    methods = {name for name in vars(Store) if not name.startswith("_")} - {"requests", "paid_by"}
    assert methods == set(CALLS)


@pytest.mark.parametrize("bucket", ["my survey", "<bucket>", "arn:aws:s3:eu-west-1:1:accesspoint"])
@pytest.mark.parametrize("method", CALLS)
def test_a_name_that_the_client_refuses_is_the_users(
    store: Store, tmp_path: Path, method: str, bucket: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(InputError):
        CALLS[method](store, Location(bucket, "key"), path)


def test_a_missing_bucket_and_a_missing_key_are_told_apart(store: Store, bucket: str) -> None:
    with pytest.raises(InputError, match="NoSuchKey") as key:
        store.head(Location(bucket, "none"))
    with pytest.raises(InputError, match="NoSuchBucket") as no_bucket:
        store.head(Location("no-such-bucket-here", "none"))
    assert (key.value.code, no_bucket.value.code) == ("not-found", "no-bucket")


def test_a_conflict_of_two_writes_is_asked_again_who_was_first(
    refused_store: Store, refusing: Refusing
) -> None:
    refusing.code, refusing.status, refusing.sent = "ConditionalRequestConflict", 409, 0
    with pytest.raises(TransientError):
        refused_store.put_once(Location("bucket", "key"), b"x")
    assert refusing.sent > 1


@pytest.mark.parametrize("first", [True, False], ids=["new object", "replaced object"])
def test_a_write_whose_reply_was_lost_is_known_as_ones_own(
    store: Store, bucket: str, s3: Any, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """The client repeats the write, and meets what it has written itself."""
    at = Location(bucket, "status.json")
    etag = "" if first else store.replace(at, b"old", "")
    right = s3.put_object

    def repeated(**want: Any) -> Any:
        right(**want)
        return right(**want)

    monkeypatch.setattr(s3, "put_object", repeated)
    assert store.replace(at, b"mine", etag) == store.head(at).etag
    assert store.replace(at, b"another's", etag) == ""
    assert store.put_once(at, b"mine") is False, "an event that comes twice finds the first's claim"


def test_a_reply_of_another_range_is_asked_for_again(
    store: Store, bucket: str, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Location(bucket, "body")
    store.put(at, b"0123456789")
    right, asked = s3.get_object, []

    def shifted(**want: Any) -> Any:
        asked.append(want["Range"])
        return right(**(want if len(asked) > 2 else {**want, "Range": "bytes=0-4"}))

    monkeypatch.setattr(s3, "get_object", shifted)
    assert store.get_range(at, 5, 5, etag=store.head(at).etag) == b"56789"
    assert asked == ["bytes=5-9"] * 3


def test_an_object_that_is_too_large_is_not_read(store: Store, bucket: str) -> None:
    at = Location(bucket, "large")
    store.put(at, b"x" * 100)
    assert len(store.get(at, most=100)) == 100
    with pytest.raises(InputError, match="100 bytes long, at most 99"):
        store.get(at, most=99)
