"""The same request for many objects, some at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = 16
WAITING = 64

Item = TypeVar("Item")
Reply = TypeVar("Reply")


def abreast(ask: Callable[[Item], Reply], items: Iterable[Item]) -> Generator[Reply, None, None]:
    """What `ask` returns for each item, in their order, from `THREADS` threads.

    Unlike `Executor.map`, which holds a reply of every item until somebody takes it, at most
    `WAITING` are there at a time.
    """
    coming: deque[Future[Reply]] = deque()
    with ThreadPoolExecutor(THREADS, "abreast") as pool:
        for item in items:
            if len(coming) == WAITING:
                yield coming.popleft().result()
            coming.append(pool.submit(ask, item))
        while coming:
            yield coming.popleft().result()
