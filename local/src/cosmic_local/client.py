"""boto3 clients for the emulator."""

from __future__ import annotations

import functools
from typing import Any

import boto3
from botocore.config import Config


def client(service: str, endpoint_url: str, region: str) -> Any:
    """A client for a local stack, whatever the caller's own AWS configuration is."""
    # No proxy of the caller's knows the stack.
    config = Config(connect_timeout=5, read_timeout=960, retries={"max_attempts": 3}, proxies={})
    factory: Any = _session(region).client
    return factory(service, endpoint_url=endpoint_url, config=config)


@functools.cache
def _session(region: str) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
        aws_session_token="local",  # noqa: S106
        region_name=region,
    )
