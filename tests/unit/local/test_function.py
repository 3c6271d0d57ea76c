"""The environment that a function finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmic_local.lambda_pool.function import (
    FunctionSpec,
    Surroundings,
    function_name,
    lambda_variables,
    threads_for,
)

SPEC = FunctionSpec(
    name="demo-F",
    logical_id="F",
    arn="arn:aws:lambda:eu-west-1:123456789012:function:demo-F",
    handler="app.handler",
    code=Path("/code"),
    memory_mb=512,
    environment={"A": "template", "B": "template", "AWS_REGION": "no", "OMP_NUM_THREADS": "7"},
    layers=(Path("/layer/one"), Path("/layer/two")),
)


def variables() -> dict[str, str]:
    around = Surroundings("eu-west-1", "http://127.0.0.1:1", {"B": "stack"})
    return lambda_variables(SPEC, around, "127.0.0.1:9001", "stream", Path("/env/tmp"))


def test_lambdas_variables_are_there() -> None:
    expected = {
        "_HANDLER": "app.handler",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "demo-F",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/demo-F",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "LAMBDA_TASK_ROOT": "/code",
        "PYTHONPATH": "/layer/one:/layer/two",
        "TMPDIR": "/env/tmp",
        "TZ": ":UTC",
    }
    found = variables()
    assert {name: found[name] for name in expected} == expected


def test_reserved_variables_win_over_the_stacks_over_the_templates() -> None:
    found = variables()
    assert (found["A"], found["B"], found["AWS_REGION"]) == ("template", "stack", "eu-west-1")
    assert found["OMP_NUM_THREADS"] == "7"


def test_nothing_of_the_callers_leaks_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    assert not {"AWS_PROFILE", "SECRET_OF_MINE"} & set(variables())


@pytest.mark.parametrize(
    "reference",
    [
        "demo-F",
        "demo-F:live",
        "123456789012:function:demo-F",
        "arn:aws:lambda:eu-west-1:123456789012:function:demo-F",
        "arn:aws:lambda:eu-west-1:123456789012:function:demo-F:$LATEST",
    ],
)
def test_a_function_is_named_in_many_ways(reference: str) -> None:
    assert function_name(reference) == "demo-F"


def test_threads_follow_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert [threads_for(mb) for mb in (128, 1769, 3538, 10240)] == [1, 1, 2, 4]
