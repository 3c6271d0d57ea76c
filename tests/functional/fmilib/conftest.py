"""The four channels, each over its real thing: TCP, Redis, an S3 API, this machine's files."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fmilib_support.fixtures import job, own_rendezvous, ranks, rendezvous
from fmilib_support.server import Rendezvous

__all__ = ["job", "own_rendezvous", "ranks", "rendezvous"]
START_S = 10.0
# where what is shown is a wait: a link, and the default store; the others by `make test-long`
WAITING = pytest.mark.parametrize(
    "way",
    ["direct", "s3", *(pytest.param(way, marks=pytest.mark.long) for way in ("redis", "local"))],
    indirect=True,
)


@dataclass(frozen=True)
class Way:
    """One channel, and what `fmilib.connect` needs to be told for it."""

    channel: str
    options: dict[str, Any]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis of the tests' own on a free port."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server isn't installed (Debian: apt-get install redis-server)")
    with running_redis(tmp_path_factory.mktemp("redis")) as (url, _):
        yield url


@contextmanager
def running_redis(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Redis on a free port; give its URL and its process."""
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        process.kill()
        process.wait(START_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while True:
        assert process.poll() is None, "redis-server ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, "redis-server doesn't listen"
            time.sleep(0.02)
        else:
            return


@pytest.fixture
def aws_env(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every AWS client of the test at the local API."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": aws_endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["direct", "redis", "s3", "local"])
def way(request: pytest.FixtureRequest) -> Way:
    """Return each channel in turn."""
    return _way(request, request.param)


@pytest.fixture(params=["redis", "s3", pytest.param("local", marks=pytest.mark.long)])
def stored(request: pytest.FixtureRequest) -> Way:
    """Return each channel that keeps messages in a store, in turn."""
    return _way(request, request.param)


def _way(request: pytest.FixtureRequest, channel: str) -> Way:
    if channel == "direct":
        server: Rendezvous = request.getfixturevalue("rendezvous")
        return Way(channel, {"rendezvous": server.address})
    if channel == "redis":
        return Way(channel, {"channel": channel, "store": request.getfixturevalue("redis_url")})
    if channel == "local":
        folder = str(request.getfixturevalue("tmp_path"))
        return Way(channel, {"channel": channel, "store": folder})
    request.getfixturevalue("aws_env")
    bucket = request.getfixturevalue("bucket")
    return Way(channel, {"channel": channel, "store": f"{bucket}/jobs"})
