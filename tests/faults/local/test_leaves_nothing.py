"""However a stack ends: no process, no socket, no temporary file is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cosmic_local import state
from cosmic_local.errors import StackError
from cosmic_local.leftovers import PREFIX, make_folder, sweep
from cosmic_local.options import StackOptions
from cosmic_local.stack import LocalStack, attach, down, up
from process_support.waiting import until

from .conftest import APP, MakeStack, family, gone, left_behind, listens

NewChildren = Callable[[], list[psutil.Process]]

BUSY = b'{"sleep_s": 60}'


def keep_busy(stack: LocalStack) -> list[int]:
    """Have the stack serve two invocations that take long, and one environment idle.

    Returns:
        The process ids of the stack and everything that it started.
    """
    client = stack.client("lambda")
    client.invoke(FunctionName="cosmic-Last", Payload=b'{"state": {}, "run": ""}')
    for _ in range(2):
        client.invoke(FunctionName="cosmic-First", InvocationType="Event", Payload=BUSY)
    until(lambda: len([r for r in stack.running() if r["start"]]) == 2)
    pids = family(stack.info.pid)
    assert len(pids) >= 4
    return pids


LATER = pytest.param(signal.SIGINT, marks=pytest.mark.long)


@pytest.mark.parametrize("number", [signal.SIGTERM, LATER])
def test_after_a_signal(make_stack: MakeStack, number: signal.Signals) -> None:
    stack = make_stack()
    pids = keep_busy(stack)
    os.kill(stack.info.pid, number)
    until(lambda: gone(pids))
    assert left_behind(stack.folder) == []
    until(lambda: not listens(stack.endpoint_url))


def test_after_stop(make_stack: MakeStack, new_children: NewChildren) -> None:
    stack = make_stack()
    pids = keep_busy(stack)
    before = time.monotonic()
    stack.stop()
    assert time.monotonic() - before < 5
    assert gone(pids)
    assert new_children() == []
    assert left_behind(stack.folder) == []
    assert not listens(stack.endpoint_url)
    assert {r.outcome for r in stack.invocations("First")} == {"stopped"}


def test_after_the_stack_was_killed(make_stack: MakeStack) -> None:
    stack = make_stack()
    pids = keep_busy(stack)
    os.kill(stack.info.pid, signal.SIGKILL)
    until(lambda: gone(pids))
    until(lambda: not listens(stack.endpoint_url))
    assert not stack.alive
    stack.stop()
    assert left_behind(stack.folder) == []


PARENT = """
import sys, time
from pathlib import Path
from cosmic_local.stack import LocalStack
with LocalStack(Path(sys.argv[1]), Path(sys.argv[2])) as stack:
    client = stack.client("lambda")
    client.invoke(FunctionName="cosmic-First", InvocationType="Event", Payload=b'{"sleep_s": 60}')
    while not any(r["start"] for r in stack.running()):
        time.sleep(0.02)
    print("busy", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, LATER])
def test_after_its_parent_has_gone(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "state"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(APP / "template.yaml"), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"busy\n"
        pids = family(parent.pid)
        assert len(pids) >= 3
        parent.send_signal(number)
    until(lambda: gone(pids))
    until(lambda: left_behind(folder) == [])


def test_a_stack_of_a_thread_that_ended_lives_on(tmp_path: Path, new_children: NewChildren) -> None:
    stack = LocalStack(APP / "template.yaml", tmp_path / "state")
    thread = threading.Thread(target=stack.start)
    thread.start()
    thread.join()
    answered = stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b"{}")
    assert answered["StatusCode"] == 200
    assert [p.pid for p in new_children() if p.parent() == psutil.Process()] == [stack.info.pid]
    stack.stop()


LEFT = """
import os, signal
from cosmic_local.leftovers import make_folder
print(make_folder(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_owner_left_is_swept_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = subprocess.run(
        [sys.executable, "-c", LEFT],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    left, mine, foreign = Path(killed.stdout.strip()), make_folder(), tmp_path / f"{PREFIX}x"
    foreign.mkdir()
    assert left.is_dir()
    assert sweep() == [left]
    assert sorted(tmp_path.iterdir()) == sorted([mine, foreign])


def test_without_a_directory_given_none_is_left() -> None:
    with LocalStack(APP / "template.yaml") as stack:
        folder = stack.folder
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"Runtime": "python2"}, "parameter Runtime is 'python2'"), ({"X": "1"}, "no such parameter")],
)
def test_a_stack_that_cannot_start_says_why(
    tmp_path: Path, parameters: dict[str, str], message: str, new_children: NewChildren
) -> None:
    with pytest.raises(StackError, match=message):
        LocalStack(APP / "template.yaml", tmp_path, parameters).start()
    assert left_behind(tmp_path) == []
    assert new_children() == []


def test_a_stack_that_is_not_ready_in_time_is_ended(
    tmp_path: Path, new_children: NewChildren
) -> None:
    with pytest.raises(StackError, match=r"not ready after 0\.2 s"):
        LocalStack(APP / "template.yaml", tmp_path, start_timeout_s=0.2).start()
    assert new_children() == []
    assert left_behind(tmp_path) == []


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"{port} is in use"):
            LocalStack(APP / "template.yaml", tmp_path, port=port).start()


UP = """
import sys
from pathlib import Path
from cosmic_local.stack import up
from cosmic_local.options import StackOptions
print(up(StackOptions(Path(sys.argv[1]), Path(sys.argv[2]))).endpoint_url)
"""


def test_a_detached_stack_outlives_its_starter_and_is_taken_down(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", UP, str(APP / "template.yaml"), str(tmp_path)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60)
    stack = attach(tmp_path)
    try:
        assert done.stdout.strip() == stack.endpoint_url
        stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b"{}")
        with pytest.raises(StackError, match="is already running"):
            up(StackOptions(APP / "template.yaml", tmp_path))
        assert stack.alive
        pids = family(stack.info.pid)
    finally:
        ran = down(tmp_path)
    assert ran
    assert gone(pids)
    assert left_behind(tmp_path) == []
    assert not listens(stack.endpoint_url)
    assert state.read(tmp_path) is None
    assert "REPORT RequestId" in stack.logs("First")
    assert not down(tmp_path)
