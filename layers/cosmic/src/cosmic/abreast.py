"""The same call for many items, some at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = 16
WAITING = 64

Item = TypeVar("Item")
Reply = TypeVar("Reply")


def abreast(
    ask: Callable[[Item], Reply],
    items: Iterable[Item],
    threads: int = THREADS,
    waiting: int = WAITING,
) -> Generator[Reply, None, None]:
    """What `ask` returns for each item, in their order.

    Unlike `Executor.map`, which takes all items at once and holds a reply of each until somebody
    takes it, an item is taken only when there is room for it. What goes on when this is closed is
    waited for; what has not begun never will.

    Args:
        ask: Called in other threads.
        items: Taken one by one in the thread that asks for replies.
        threads: How many are asked at the same time.
        waiting: How many items have been taken and their replies not yet, at most.

    Raises:
        Exception: what `ask` raises for an item comes where its reply would.
    """
    coming: deque[Future[Reply]] = deque()
    with ThreadPoolExecutor(threads, "abreast") as pool:
        try:
            for item in items:
                coming.append(pool.submit(ask, item))
                if len(coming) == waiting:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for reply in coming:
                reply.cancel()
