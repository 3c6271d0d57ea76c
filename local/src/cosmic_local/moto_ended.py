"""What is left in moto of an execution that has ended: what can be asked of it, no interpreter.

moto keeps an execution with all that ran it (a frame, locks and counters for each state and item,
and each thread that there ever was), which is most of what a run would leave in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.utils import TMP_THREADS

MOST_HISTORIES = 50


class EndedExecutions:
    """Lets go of what executions that have ended no longer need.

    Their histories and Map Runs stay, of the last `most` (Step Functions forgets them after 90
    days); what `DescribeExecution` says stays of all.
    """

    def __init__(self, most: int = MOST_HISTORIES) -> None:
        self._most = most
        self._last: deque[Any] = deque()

    def settle(self, execution: Any) -> None:
        """Let go of an execution's interpreter, which is done."""
        frame = execution.exec_worker.env
        history = frame.event_manager.get_event_history()
        map_runs = frame.map_run_record_pool_manager.get_all()
        execution.exec_worker = ended(history, [_asked_of(map_run) for map_run in map_runs])
        TMP_THREADS[:] = [thread for thread in TMP_THREADS if thread.is_alive()]
        self._last.append(execution)
        while len(self._last) > self._most:
            self._last.popleft().exec_worker = ended()


def ended(history: Sequence[Any] = (), map_runs: Sequence[Any] = ()) -> Any:
    """What takes the place of the worker of an execution that has ended."""
    by_arn = {map_run.map_run_arn: map_run for map_run in map_runs}
    return SimpleNamespace(
        stop=_nothing,
        env=SimpleNamespace(
            map_run_record_pool_manager=SimpleNamespace(
                get=by_arn.get, get_all=lambda: list(by_arn.values())
            ),
            event_manager=SimpleNamespace(get_event_history=lambda: list(history)),
            callback_pool_manager=SimpleNamespace(notify=_nothing, heartbeat=_nothing),
        ),
    )


def _asked_of(map_run: Any) -> Any:
    described, listed = map_run.describe(), map_run.list_item()
    return SimpleNamespace(
        map_run_arn=map_run.map_run_arn,
        describe=lambda: described,
        list_item=lambda: listed,
        update=_nothing,
    )


def _nothing(**_: Any) -> bool:
    """Who asks this came too late: says that it is nothing of this execution's."""
    return False
