"""A pool, and a whole stack, with real processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmic_local.lambda_pool.function import FunctionSpec, Surroundings
from cosmic_local.lambda_pool.invocation import Invocation
from cosmic_local.lambda_pool.pool import Limits, Pool, Served
from cosmic_local.stack import LocalStack
from process_support.waiting import until

APP = Path(__file__).parent / "app"
BASE = FunctionSpec(
    name="first",
    logical_id="First",
    arn="arn:aws:lambda:us-east-1:123456789012:function:first",
    handler="first.handler",
    code=APP / "functions" / "first",
    timeout_s=10,
    memory_mb=256,
    layers=(APP / "layers" / "shared" / "src",),
)

MakePool = Callable[..., Pool]


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[MakePool]:
    """Pools with the function `first`; `make_pool(timeout_s=1)` changes it, `limits=` the pool."""
    made: list[Pool] = []

    def make(*, limits: Limits | None = None, **changes: Any) -> Pool:
        around = Surroundings("us-east-1", "http://127.0.0.1:9")
        pool = Pool(tmp_path / f"pool-{len(made)}", around, limits or Limits(watch_s=0.01))
        made.append(pool)
        pool.add(replace(BASE, **changes))
        return pool

    yield make
    for pool in made:
        pool.close()


@pytest.fixture
def pool(make_pool: MakePool) -> Pool:
    """A pool with the function `first`."""
    return make_pool()


def call(pool: Pool, **event: Any) -> Served:
    """Invoke `first` with an event."""
    spec = pool.function("first")
    return pool.invoke("first", Invocation(json.dumps(event).encode(), spec.timeout_s))


def answer(served: Served) -> Any:
    """What an invocation gave back."""
    return json.loads(served.outcome.payload)


@contextmanager
def behind_a_proxy() -> Iterator[None]:
    """As on a machine of an institute, whose proxy knows no loopback: here nobody listens there."""
    with pytest.MonkeyPatch.context() as surroundings:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            surroundings.setenv(name, "http://127.0.0.1:9")
            surroundings.setenv(name.upper(), "http://127.0.0.1:9")
        for name in ("no_proxy", "NO_PROXY"):
            surroundings.delenv(name, raising=False)
        yield


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The small copy of the product's shape, deployed."""
    folder = tmp_path_factory.mktemp("stack")
    with ExitStack() as ended:
        with behind_a_proxy():  # for the stack alone: other tests share this process
            started = LocalStack(APP / "template.yaml", folder, {"RankConcurrency": "6"})
            running = ended.enter_context(started)
        yield running


class Machine:
    """The stack's state machine and its bucket."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.s3 = stack.client("s3")
        self.steps = stack.client("stepfunctions")
        self.bucket = stack.outputs["Bucket"]
        self.arn = stack.outputs["Machine"]

    def execution(self, name: str) -> str:
        """ARN of an execution."""
        return f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"

    def put(self, key: str, document: Any) -> dict[str, Any]:
        """Upload JSON."""
        body = json.dumps(document).encode()
        answered: dict[str, Any] = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return answered

    def start(self, name: str, items: list[dict[str, Any]], world_size: int | None = None) -> str:
        """Start an execution over items."""
        self.put(f"items/{name}.json", items)
        size = len(items) if world_size is None else world_size
        state = {"bucket": self.bucket, "items_key": f"items/{name}.json", "world_size": size}
        started = self.steps.start_execution(
            stateMachineArn=self.arn, name=name, input=json.dumps(state)
        )
        return str(started["executionArn"])

    def end(self, arn: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait for an execution's end."""

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = self.steps.describe_execution(executionArn=arn)
            return described if described["status"] != "RUNNING" else None

        found: dict[str, Any] = until(ended, timeout_s)
        return found

    def run(
        self, name: str, items: list[dict[str, Any]], world_size: int | None = None
    ) -> dict[str, Any]:
        """Run items to the end; the execution's output."""
        described = self.end(self.start(name, items, world_size))
        assert described["status"] == "SUCCEEDED", described
        output: dict[str, Any] = json.loads(described["output"])
        return output


@pytest.fixture
def machine(stack: LocalStack) -> Machine:
    """The stack's state machine."""
    return Machine(stack)
