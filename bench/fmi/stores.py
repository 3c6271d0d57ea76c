"""A real Redis and a real S3 API for the channels that keep messages in a store."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import boto3

START_S = 30.0
BUCKET = "bench"


@contextlib.contextmanager
def store(channel: str) -> Iterator[dict[str, str]]:
    """Run what a channel needs; yields the variables with which ranks use it.

    Raises:
        FileNotFoundError: Redis isn't installed.
    """
    with {"redis": _redis, "s3": _s3, "local": _folder}[channel]() as variables:
        yield {
            "FMI_CHANNEL": channel,
            "FMI_JOB": f"bench-{channel}",
            "FMI_SECRET": secrets.token_hex(32),
            **variables,
        }


@contextlib.contextmanager
def _redis() -> Iterator[dict[str, str]]:
    command, port = shutil.which("redis-server"), _free_port()
    if command is None:
        raise FileNotFoundError("redis-server isn't installed (Debian: redis-server)")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        with _running([command, *options], port):
            yield {"FMI_STORE": f"redis://127.0.0.1:{port}/0"}


@contextlib.contextmanager
def _s3() -> Iterator[dict[str, str]]:
    port = _free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        variables = {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
        }
        boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL_S3"],
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # noqa: S106 - of a server that asks for any
        ).create_bucket(Bucket=BUCKET)
        yield {"FMI_STORE": f"{BUCKET}/jobs", **variables}


@contextlib.contextmanager
def _folder() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield {"FMI_STORE": folder}


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} didn't start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(START_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
