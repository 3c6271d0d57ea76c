"""What a running stack says about itself, in `stack.json` of its state directory."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from cosmic_local.errors import StackError

NAME = "stack.json"


@dataclass(frozen=True)
class FunctionInfo:
    """A deployed function.

    Attributes:
        name: Physical name.
        arn: ARN.
        memory_mb: Configured memory.
        timeout_s: Configured time-out.
    """

    name: str
    arn: str
    memory_mb: int
    timeout_s: float


@dataclass(frozen=True)
class StackInfo:
    """A running stack.

    Attributes:
        pid: Process id of the stack.
        created_s: When that process was started, as the system says it: pids are reused.
        endpoint_url: Where S3, Step Functions and the Lambda API answer.
        region: The region it plays.
        account: The account it plays.
        stack: The stack's name.
        template: The template that was deployed.
        outputs: The template's outputs.
        functions: Logical id → function.
        left_out: Logical id → type of the resources that have no part in a run here.
        rendezvous: Address of the rendezvous server, or an empty string.
        console: Address of the page that shows the runs, or an empty string.
        concurrency: Invocations at once over all functions, as the machine's memory allows.
        data: The folder of what outlives the stack, or an empty string.
    """

    pid: int
    created_s: float
    endpoint_url: str
    region: str
    account: str
    stack: str
    template: str
    outputs: dict[str, str]
    functions: dict[str, FunctionInfo]
    left_out: dict[str, str] = field(default_factory=dict)
    rendezvous: str = ""
    console: str = ""
    concurrency: int = 0
    data: str = ""

    def process(self) -> psutil.Process | None:
        """The stack's process, if it is still the one that wrote this."""
        return alive(self.pid, self.created_s)


def alive(pid: int, created_s: float) -> psutil.Process | None:
    """The process that had this id and was started then, if it still runs: ids are reused."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created_s) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def own_start() -> float:
    """When this process was started."""
    return float(psutil.Process().create_time())


def write(folder: Path, info: StackInfo) -> None:
    """Say that the stack is ready."""
    draft = folder / f"{NAME}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(info), indent=2), encoding="utf-8")
    draft.replace(folder / NAME)


def read(folder: Path) -> StackInfo | None:
    """The stack of a state directory, whether it still runs or not; None if there is none.

    Raises:
        StackError: the file is not one that this version wrote.
    """
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StackError(f"{folder / NAME} cannot be read: {error}") from error
    try:
        functions = {name: FunctionInfo(**item) for name, item in document["functions"].items()}
        return StackInfo(**{**document, "functions": functions})
    except (KeyError, TypeError, AttributeError) as error:
        raise StackError(
            f"{folder / NAME} is of another version", hint="remove the directory"
        ) from error


def remove(folder: Path) -> None:
    """The stack is gone."""
    (folder / NAME).unlink(missing_ok=True)


def wait_gone(process: psutil.Process, timeout_s: float) -> bool:
    """Wait until a process is gone (also one that is not a child).

    Returns:
        Whether it is.
    """
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False
