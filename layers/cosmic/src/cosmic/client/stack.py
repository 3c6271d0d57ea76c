"""The services of one deployed stack: the local one, or one in an AWS account."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cosmic.client.defaults import STACK, STATE_DIR
from cosmic.errors import InputError, TransientError
from cosmic.extras import not_installed
from cosmic.storage.aws_errors import as_cosmic_error, translated
from cosmic.storage.objects import Store

OUTPUTS = ("DataBucketName", "PipelineArn")


class Services(Protocol):
    """A running local stack, as `cosmic_local.stack.StackHandle` is one."""

    @property
    def outputs(self) -> dict[str, str]:
        """The template's outputs."""
        ...

    def client(self, service: str) -> Any:
        """A boto3 client for one of its services."""
        ...


@dataclass(frozen=True)
class Stack:
    """What one needs to know about a deployed stack to use it.

    Attributes:
        client: Makes a boto3 client for one of its services.
        outputs: The stack's outputs.
        poll_s: Seconds between two looks at a run.
        options: The command line's options that name the stack, for hints.
    """

    client: Callable[[str], Any]
    outputs: dict[str, str]
    poll_s: float
    options: tuple[str, ...] = ()

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
        """A command line for this stack, as hints show it."""
        return shlex.join(("cosmic", *words, *self.options))


def local_stack(state_dir: Path) -> Stack:
    """The local stack that runs in a state directory.

    Raises:
        CosmicError: none runs there, or the package of the local stack is not installed.
    """
    elsewhere = ("--state-dir", str(state_dir)) if state_dir != STATE_DIR else ()
    return of_local(stack_package().attach(state_dir), ("--local", *elsewhere))


def of_local(running: Services, options: tuple[str, ...] = ("--local",)) -> Stack:
    """A local stack that is running already."""
    return Stack(running.client, running.outputs, poll_s=0.2, options=options)


def stack_package() -> ModuleType:
    """`cosmic_local.stack`, which is installed apart: programs that use AWS don't need it.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module("cosmic_local.stack")
    except ModuleNotFoundError as error:
        raise not_installed(error) from error


def aws_stack(stack_name: str, profile: str | None, region: str | None) -> Stack:
    """A stack in an AWS account, found by its name.

    Raises:
        InputError: there is none, or the credentials, the profile or the region are wrong.
        TransientError: AWS can't be reached.
    """
    outputs = _outputs(stack_name, profile, region)
    if missing := [name for name in OUTPUTS if name not in outputs]:
        message = f"stack {stack_name!r} has no output {' or '.join(missing)}"
        hint = "name a stack that was deployed from Cosmic's template with --stack"
        raise InputError(message, code="not-cosmic", hint=hint)
    named = {"--stack": stack_name, "--profile": profile, "--region": region}
    given = {k: v for k, v in named.items() if v and (k, v) != ("--stack", STACK)}
    options = tuple(word for pair in given.items() for word in pair)
    make: Any = boto3.Session(profile_name=profile, region_name=region).client
    return Stack(make, outputs, poll_s=2.0, options=options)


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
    except BotoCoreError as error:
        refused = as_cosmic_error("AWS", error)
        if isinstance(refused, TransientError):
            raise TransientError(f"AWS can't be reached: {error}") from error
        hint = f"{refused.hint}; or use --local with `cosmic local up`"
        raise InputError(refused.message, code=refused.code, hint=hint) from error
    return {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])}
