"""Where commands act: the local stack, or a stack in an AWS account."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
)

from cosmic.errors import InputError, TransientError
from cosmic.storage.aws_errors import as_cosmic_error, translated
from cosmic.storage.objects import Store
from cosmic_local.stack import StackHandle, attach

STATE_DIR = Path(".cosmic/local")
STACK = "cosmic"
OUTPUTS = ("DataBucketName", "PipelineArn")


@dataclass(frozen=True)
class Target:
    """A deployed Cosmic.

    Attributes:
        client: Makes a boto3 client for one of its services.
        outputs: The stack's outputs.
        poll_s: How often it is fair to look.
        words: The options that name it, for hints.
    """

    client: Callable[[str], Any]
    outputs: dict[str, str]
    poll_s: float
    words: tuple[str, ...] = ()

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

    def function(self, name: str) -> dict[str, Any]:
        """A function's configuration, as Lambda says it.

        Raises:
            InputError: there is no such function, or it may not be looked at.
            TransientError: AWS can't be reached.
        """
        with translated(f"function {name!r}"):
            found: dict[str, Any] = self.client("lambda").get_function_configuration(
                FunctionName=name
            )
        return found

    def command(self, *words: str) -> str:
        """A command line that acts on it, as a hint shows it."""
        return shlex.join(("cosmic", *words, *self.words))


def local_target(stack: StackHandle, words: tuple[str, ...] = ("--local",)) -> Target:
    """A running local stack."""
    return Target(stack.client, stack.outputs, poll_s=0.2, words=words)


def aws_target(stack_name: str, profile: str | None, region: str | None) -> Target:
    """A stack in an AWS account, found by its name.

    Raises:
        InputError: there is none, or the credentials, the profile or the region are not good.
        TransientError: AWS can't be reached.
    """
    outputs = _outputs(stack_name, profile, region)
    if missing := [name for name in OUTPUTS if name not in outputs]:
        message = f"stack {stack_name!r} has no output {' or '.join(missing)}"
        hint = "name a stack that was deployed from Cosmic's template with --stack"
        raise InputError(message, code="not-cosmic", hint=hint)
    named = {"--stack": stack_name, "--profile": profile, "--region": region}
    given = {k: v for k, v in named.items() if v and (k, v) != ("--stack", STACK)}
    words = tuple(word for pair in given.items() for word in pair)
    make: Any = boto3.Session(profile_name=profile, region_name=region).client
    return Target(make, outputs, poll_s=2.0, words=words)


def _outputs(stack_name: str, profile: str | None, region: str | None) -> dict[str, str]:
    hint = "deploy it with `sam deploy`, or use --local with `cosmic local up`"
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        cloudformation = session.client("cloudformation")
        (found,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        refused = as_cosmic_error(f"stack {stack_name!r}", error)
        if isinstance(refused, TransientError):
            raise refused from error
        missing = error.response["Error"]["Code"] == "ValidationError"
        code = "no-stack" if missing else refused.code
        raise InputError(f"stack {stack_name!r}: {error}", code=code, hint=hint) from error
    except (EndpointConnectionError, HTTPClientError) as error:
        raise TransientError(f"AWS can't be reached: {error}") from error
    except BotoCoreError as error:
        hint = f"give --profile and --region, or {hint.partition(', or ')[2]}"
        raise InputError(f"AWS: {error}", code="aws-configuration", hint=hint) from error
    return {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])}


def find_target(
    *, local: bool, state_dir: Path, stack: str, profile: str | None, region: str | None
) -> Target:
    """The target that a command's options name.

    Raises:
        CosmicError: it is not there.
    """
    if not local:
        return aws_target(stack, profile, region)
    elsewhere = ("--state-dir", str(state_dir)) if state_dir != STATE_DIR else ()
    return local_target(attach(state_dir), ("--local", *elsewhere))
