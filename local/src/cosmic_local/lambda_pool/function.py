"""A function as the template describes it, and the environment variables Lambda gives it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cosmic.contracts.vcpus import threads_for_memory

VERSION = "$LATEST"


@dataclass(frozen=True)
class AsyncConfig:
    """What becomes of events that were handed over asynchronously.

    Attributes:
        max_retries: How often a failed event is tried again.
        on_failure: ARN of the destination for the record of an event that failed for good.
        dead_letter: ARN of the queue for the event itself.
    """

    max_retries: int = 2
    on_failure: str | None = None
    dead_letter: str | None = None


@dataclass(frozen=True)
class FunctionSpec:
    """Everything needed to run one function.

    Attributes:
        name: Physical name.
        logical_id: Its name in the template.
        arn: Its ARN, without a version.
        handler: `module.function`.
        code: Directory that stands for `/var/task`.
        runtime: As in the template, `python3.13`; the process runs under the stack's own Python.
        timeout_s: After which an invocation is killed.
        memory_mb: Above which an invocation is killed.
        ephemeral_mb: Size of `/tmp` (stated, not enforced).
        reserved_concurrency: The function's own limit, if it has one.
        environment: The template's variables, resolved.
        layers: Directories that stand for `/opt/python`, in order.
        role: ARN of its role.
        events: How asynchronous events are treated.
    """

    name: str
    logical_id: str
    arn: str
    handler: str
    code: Path
    runtime: str = "python3.13"
    timeout_s: float = 3.0
    memory_mb: int = 128
    ephemeral_mb: int = 512
    reserved_concurrency: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[Path, ...] = ()
    role: str = ""
    events: AsyncConfig = AsyncConfig()

    @property
    def log_group(self) -> str:
        """The function's log group."""
        return f"/aws/lambda/{self.name}"


@dataclass(frozen=True)
class Surroundings:
    """What is the same for all functions of a stack.

    Attributes:
        region: The region that is played.
        endpoint_url: Where the emulator listens.
        variables: Variables that every function gets, over those of the template.
    """

    region: str
    endpoint_url: str
    variables: Mapping[str, str] = field(default_factory=dict)


def lambda_variables(
    spec: FunctionSpec, around: Surroundings, runtime_api: str, log_stream: str, tmp: Path
) -> dict[str, str]:
    """The complete environment of one execution environment: nothing of the caller's leaks in."""
    reserved = {
        "_HANDLER": spec.handler,
        "AWS_ACCESS_KEY_ID": spec.logical_id,  # so that the emulator can tell who calls
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_DEFAULT_REGION": around.region,
        "AWS_ENDPOINT_URL": around.endpoint_url,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": around.region,
        "LAMBDA_RUNTIME_DIR": str(Path(sys.prefix)),
        "LAMBDA_TASK_ROOT": str(spec.code),
        "TMPDIR": str(tmp),
        "TZ": ":UTC",
    }
    defaults = {
        "HOME": str(tmp),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(threads_for(spec.memory_mb)),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(str(layer) for layer in spec.layers),
    }
    return {**defaults, **spec.environment, **around.variables, **reserved}


def threads_for(memory_mb: int) -> int:
    """Threads for numeric libraries: as many as in Lambda, at most one per core of this machine."""
    return min(os.cpu_count() or 1, threads_for_memory(memory_mb))


def function_name(reference: str) -> str:
    """The name in a name, a name with a version, a partial ARN or an ARN."""
    if reference.startswith("arn:"):
        return reference.split(":")[6]
    if ":function:" in reference:
        return reference.split(":function:")[1].split(":", maxsplit=1)[0]
    return reference.split(":", maxsplit=1)[0]
