"""What a stack says about itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosmic_local import state
from cosmic_local.errors import StackError
from cosmic_local.stack import attach, down


def info(created_s: float) -> state.StackInfo:
    return state.StackInfo(
        pid=os.getpid(),
        created_s=created_s,
        endpoint_url="http://127.0.0.1:1",
        region="r",
        account="a",
        stack="s",
        template="t",
        outputs={"A": "1"},
        functions={"F": state.FunctionInfo("f", "arn", 128, 3.0)},
    )


def test_it_is_read_as_written(tmp_path: Path) -> None:
    state.write(tmp_path, info(state.own_start()))
    found = state.read(tmp_path)
    assert found == info(state.own_start())
    assert found is not None
    assert found.process() is not None
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]


def test_a_reused_pid_is_not_the_stack(tmp_path: Path) -> None:
    state.write(tmp_path, info(state.own_start() - 100))
    with pytest.raises(StackError, match="no stack is running"):
        attach(tmp_path)
    assert not down(tmp_path)
    assert state.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "{}", '{"functions": 3}', "[]"])
def test_a_broken_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(StackError, match=r"stack\.json"):
        state.read(tmp_path)


def test_no_stack_is_said_so(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
    assert not down(tmp_path)
    with pytest.raises(StackError, match="no stack is running"):
        attach(tmp_path)
