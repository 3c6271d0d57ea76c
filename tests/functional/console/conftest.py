"""A console over a real S3 API, and a browser to look at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from cosmic_local.console.server import console
from cosmic_local.state import StackInfo


@pytest.fixture
def address(bucket: str, aws_endpoint: str, aws: Callable[[str], Any]) -> Iterator[str]:
    """The console of a stack whose data bucket is `bucket`."""
    info = StackInfo(
        pid=1,
        created_s=0.0,
        endpoint_url=aws_endpoint,
        region="us-east-1",
        account="123456789012",
        stack="cosmic",
        template="template.yaml",
        outputs={"DataBucketName": bucket, "OutputPrefixes": "runs/,results/"},
        functions={},
    )
    with console(info, aws) as served:
        yield served
