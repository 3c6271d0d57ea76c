"""Watching a run until it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic.client.snapshots import Observer, Snapshot, execution_arn
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import Status
from cosmic.errors import TransientError


@dataclass(frozen=True)
class Patience:
    """How long to go on watching while nothing happens, in seconds.

    Attributes:
        start_s: Longest wait for `init`'s answer, and for an execution that Step Functions doesn't
            know about.
        end_s: Longest wait for the final status once the execution has ended.
        look_s: How long looking may fail before watching gives up.
    """

    start_s: float = 120.0
    end_s: float = 180.0
    look_s: float = 30.0


PATIENCE = Patience()


def watch(stack: Stack, folder: RunFolder, patience: Patience = PATIENCE) -> Iterator[Snapshot]:
    """Look at a run again and again until it has its final status, and its page too.

    If a run's execution was stopped, its page may come later: nothing says that it is being drawn.

    Raises:
        TransientError: `init`, or `aggregate`, has not answered in time, there is no execution, or
            nothing can be seen.
    """
    observer, watched = Observer(stack, folder), _Watched(stack, folder, patience)
    looked = time.monotonic()
    while not watched.over:
        try:
            snapshot = observer.look()
        except TransientError:
            if time.monotonic() > looked + patience.look_s:
                raise
            time.sleep(stack.poll_s)
            continue
        looked = time.monotonic()
        yield snapshot
        watched.saw(snapshot)
        if not watched.ending:
            time.sleep(stack.poll_s)


class _Watched:
    """What was last seen of a run, and for how long there has been nothing new."""

    def __init__(self, stack: Stack, folder: RunFolder, patience: Patience) -> None:
        self._stack, self._folder, self._patience = stack, folder, patience
        self._started = self._alive = self._known = time.monotonic()
        self.over = False
        self.ending = False  # one more look, at once: the last status may be newer than this one

    def saw(self, snapshot: Snapshot) -> None:
        """Take in a look.

        Raises:
            TransientError: what has to come has not come in time.
        """
        now, status = time.monotonic(), snapshot.status
        if status is not None and status.state.final:
            self.over = self.ending or now > self._alive + self._patience.end_s
            self.ending = snapshot.execution != "RUNNING"
        elif status is None:
            self._await_init(now)
        else:
            self._await_end(now, snapshot.execution, status)

    def _await_init(self, now: float) -> None:
        self._known = self._alive = now
        if now > self._started + self._patience.start_s:
            message = f"{self._folder.run} has no status after {self._patience.start_s:g} s"
            raise TransientError(message, hint="look at the init function's log")

    def _await_end(self, now: float, execution: str, status: Status) -> None:
        run = self._folder.run
        if execution:
            self._known = now
        elif now > self._known + self._patience.start_s:
            raise _no_execution(self._stack, self._folder, status)
        if execution in ("", "RUNNING"):
            self._alive = now
        elif now > self._alive + self._patience.end_s:
            message = f"the execution of {run} is {execution}, its status RUNNING"
            hint = f"`{self._stack.command('resume', run)}` lets aggregate finish it"
            raise TransientError(message, hint=hint)


def _no_execution(stack: Stack, folder: RunFolder, status: Status) -> TransientError:
    run = folder.run
    arn = execution_arn(stack, run, status)
    message = f"the status of {run} is {status.state.value}, but there is no execution {arn}"
    hint = f"`{stack.command('resume', run)}` starts it; the init function's log may say why"
    return TransientError(message, code="no-execution", hint=hint)
