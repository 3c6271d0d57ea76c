"""Replies of a real S3 API that break off: resumed where they broke, or a clear error."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config

from cosmic.contracts.location import Location
from cosmic.errors import InputError, TransientError
from cosmic.storage.objects import RANGE_ATTEMPTS, STEP_BYTES, Store

RESET = struct.pack("ii", 1, 0)
BODY = np.random.default_rng(0).bytes(1_000_000)


class Cutter:
    """A proxy before S3 that ends connections after so many bytes of reply, one bound each.

    Attributes:
        bounds: Those of the next connections; later ones are left alone.
        reset: Whether a connection ends with a reset, or in an orderly way but too early.
    """

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.bounds: list[int] = []
        self.reset = False
        self._open: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """End every connection and thread."""
        for s in self._open:
            with suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for s in self._open:
            s.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._upstream)
            self._open += [near, far]
            bound = self.bounds.pop(0) if self.bounds else 1 << 60
            for source, sink, most in ((near, far, 1 << 60), (far, near, bound)):
                thread = threading.Thread(target=self._copy, args=(source, sink, most))
                self._threads.append(thread)
                thread.start()

    def _copy(self, source: socket.socket, sink: socket.socket, most: int) -> None:
        with suppress(OSError):
            while data := source.recv(min(1 << 16, most)):
                sink.sendall(data)
                most -= len(data)
                if most == 0:
                    break
        with suppress(OSError):
            if most == 0 and self.reset:
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sink.shutdown(socket.SHUT_RD)  # so that nobody receives from it when it is closed
                sink.close()
            else:
                sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cutter(aws_endpoint: str) -> Iterator[Cutter]:
    cutter = Cutter(aws_endpoint)
    yield cutter
    cutter.close()


@pytest.fixture
def cut_store(cutter: Cutter) -> Iterator[Store]:
    """A store whose connections go through the proxy; each request has one of its own."""
    client = boto3.client(
        "s3",
        endpoint_url=cutter.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            s3={"addressing_style": "path"}, read_timeout=10, retries={"total_max_attempts": 1}
        ),
    )
    client.meta.events.register(
        "before-send.s3", lambda request, **_: request.headers.update({"Connection": "close"})
    )
    yield Store(client)
    client.close()


@pytest.fixture
def at(store: Store, bucket: str) -> Location:
    at = Location(bucket, "body")
    store.put(at, BODY)
    return at


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmic.storage.objects.RESUME_PAUSE_S", 0)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("bounds", [[400_000], [100_000, 200_000, 3_000, 300_000]])
def test_a_range_goes_on_where_its_reply_broke(
    cutter: Cutter, cut_store: Store, store: Store, at: Location, reset: bool, bounds: list[int]
) -> None:
    etag = store.head(at).etag
    asked: list[str] = []
    cut_store._s3.meta.events.register(
        "before-parameter-build.s3.GetObject", lambda params, **_: asked.append(params["Range"])
    )
    cutter.reset, cutter.bounds = reset, list(bounds)
    assert cut_store.get_range(at, 1000, 900_000, etag=etag) == BODY[1000:901_000]
    assert len(asked) == len(bounds) + 1
    offsets = [int(a.removeprefix("bytes=").partition("-")[0]) for a in asked]
    assert offsets == sorted(offsets)
    assert all(a.endswith("-900999") for a in asked)
    if not reset:  # a reset may overtake what was sent before it
        came = sum(b // STEP_BYTES * STEP_BYTES for b in bounds)
        assert came <= offsets[-1] - 1000 + len(bounds) * STEP_BYTES


def test_replies_that_always_break_are_given_up(
    cutter: Cutter, cut_store: Store, store: Store, at: Location
) -> None:
    cutter.bounds = [2000] * 100
    with pytest.raises(TransientError, match=f"of 900000 bytes .* {RANGE_ATTEMPTS} attempts"):
        cut_store.get_range(at, 0, 900_000, etag=store.head(at).etag)
    assert len(cutter.bounds) == 100 - RANGE_ATTEMPTS


def test_an_object_that_changes_between_the_attempts_is_refused(
    cutter: Cutter, cut_store: Store, store: Store, at: Location
) -> None:
    """Two versions are never mixed: the second attempt asks for the first one's ETag."""
    etag = store.head(at).etag
    cutter.bounds = [300_000]
    versions = iter([BODY, b"x" * len(BODY)])
    cut_store._s3.meta.events.register(
        "before-parameter-build.s3.GetObject", lambda **_: store.put(at, next(versions))
    )
    with pytest.raises(InputError, match="changed since the run was planned"):
        cut_store.get_range(at, 0, 900_000, etag=etag)


def test_a_whole_object_is_read_again_from_the_start(
    cutter: Cutter, cut_store: Store, at: Location
) -> None:
    cutter.bounds = [300_000, 700_000]
    assert cut_store.get(at) == BODY


def test_a_server_that_ignores_ranges_is_not_believed(
    store: Store, at: Location, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = store.head(at).etag
    get: Callable[..., Any] = s3.get_object

    def deaf(**asked: Any) -> Any:
        del asked["Range"]
        return get(**asked)

    monkeypatch.setattr(s3, "get_object", deaf)
    with pytest.raises(TransientError, match="asked for bytes 5-14, got None"):
        store.get_range(at, 5, 10, etag=etag)
