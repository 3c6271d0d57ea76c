"""Where commands act: the local stack, or a stack in an AWS account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cosmic.errors import InputError
from cosmic.store import Store
from cosmic_cli.stack.local import StackHandle, attach

STATE_DIR = Path(".cosmic/local")


@dataclass(frozen=True)
class Target:
    """A deployed Cosmic.

    Attributes:
        client: Makes a boto3 client for one of its services.
        outputs: The stack's outputs.
        poll_s: How often it is fair to look.
    """

    client: Callable[[str], Any]
    outputs: dict[str, str]
    poll_s: float

    @property
    def bucket(self) -> str:
        """The data bucket."""
        return self.outputs["DataBucketName"]

    @property
    def pipeline_arn(self) -> str:
        """The state machine."""
        return self.outputs["PipelineArn"]

    def store(self) -> Store:
        """Its S3."""
        return Store(self.client("s3"))


def local_target(stack: StackHandle) -> Target:
    """A running local stack."""
    return Target(stack.client, stack.outputs, poll_s=0.2)


def aws_target(stack_name: str, profile: str | None, region: str | None) -> Target:
    """A stack in an AWS account, found by its name.

    Raises:
        InputError: there is none, or it can't be looked at.
    """
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        cloudformation = session.client("cloudformation")
        (found,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        hint = "deploy it with `sam deploy`, or use --local with `cosmic local up`"
        raise InputError(f"stack {stack_name!r}: {error}", code="no-stack", hint=hint) from error
    outputs = {o["OutputKey"]: o["OutputValue"] for o in found["Outputs"]}
    make: Any = session.client
    return Target(make, outputs, poll_s=2.0)


def find_target(
    *, local: bool, state_dir: Path, stack_name: str, profile: str | None, region: str | None
) -> Target:
    """The target that a command's options name.

    Raises:
        CosmicError: it is not there.
    """
    if local:
        return local_target(attach(state_dir))
    return aws_target(stack_name, profile, region)
