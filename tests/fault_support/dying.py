"""A process that dies right after one of its writes to AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

READS = ("Get", "Head", "List", "Describe")


class Died(BaseException):
    """The process ends here: nothing catches it."""


@contextmanager
def dies_after(write: int) -> Iterator[list[str]]:
    """Let every boto3 client die right after a write, counted from 1; 0: never.

    No call of AWS gets out once it has died, from whichever thread: what a thread pool makes of
    the death of one of its threads is then all that is left to happen, as nothing of it can be
    seen from outside.

    Yields:
        The writes, as they are done.
    """
    call: Any = vars(BaseClient)["_make_api_call"]
    done: list[str] = []
    lock = Lock()

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        if operation.startswith(READS):
            if write and len(done) >= write:
                raise Died
            return call(self, operation, arguments)
        with lock:
            if write and len(done) >= write:
                raise Died
            reply = call(self, operation, arguments)
            done.append(operation)
            if len(done) == write:
                raise Died
        return reply

    with patch.object(BaseClient, "_make_api_call", counted):
        yield done


def writes_of(act: Callable[[], object]) -> list[str]:
    """The writes of an undisturbed act."""
    with dies_after(0) as done:
        act()
    return done


def interrupt(act: Callable[[], object], write: int) -> None:
    """Do something that dies right after one of its writes."""
    with dies_after(write) as done, suppress(Died):
        act()
    assert len(done) == write
