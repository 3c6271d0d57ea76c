"""A console over a real S3 API, and a browser to look at it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from cosmic_local.console.server import console
from cosmic_local.state import StackInfo

WAITING = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
ROLE = "arn:aws:iam::123456789012:role/pipeline"


@pytest.fixture
def pipeline(bucket: str, aws: Callable[[str], Any]) -> str:
    """A state machine that waits."""
    steps = aws("stepfunctions")
    made = steps.create_state_machine(name=bucket, definition=json.dumps(WAITING), roleArn=ROLE)
    arn: str = made["stateMachineArn"]
    return arn


@pytest.fixture
def address(
    bucket: str, pipeline: str, aws_endpoint: str, aws: Callable[[str], Any], tmp_path: Path
) -> Iterator[str]:
    """The console of a stack whose data bucket is `bucket` and whose folder is `tmp_path`."""
    outputs = {
        "DataBucketName": bucket,
        "OutputPrefixes": "runs/,results/",
        "PipelineArn": pipeline,
    }
    info = StackInfo(
        pid=1,
        created_s=0.0,
        endpoint_url=aws_endpoint,
        region="us-east-1",
        account="123456789012",
        stack="cosmic",
        template="template.yaml",
        outputs=outputs,
        functions={},
    )
    with console(info, aws, tmp_path) as served:
        yield served
