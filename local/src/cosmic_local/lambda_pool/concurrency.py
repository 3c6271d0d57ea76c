"""Concurrency as Lambda counts it: of the account, and reserved for a function."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from cosmic_local.errors import Throttled
from cosmic_local.lambda_pool.function import FunctionSpec


class Concurrency:
    """Counts what runs, and refuses what is too much."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._busy: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, spec: FunctionSpec) -> Iterator[None]:
        """One invocation of a function, for as long as the block lasts.

        Raises:
            Throttled: the function, or all together, are at their limit.
        """
        self._take(spec)
        try:
            yield
        finally:
            with self._lock:
                self._busy[spec.name] -= 1

    def refused(self) -> dict[str, int]:
        """How often each function was refused so far, as CloudWatch's `Throttles` counts it."""
        with self._lock:
            return dict(self._refused)

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until nothing runs.

        Returns:
            Whether nothing does.
        """
        until = time.monotonic() + timeout_s
        while self._busy.total() and time.monotonic() < until:
            time.sleep(0.005)
        return not self._busy.total()

    def _take(self, spec: FunctionSpec) -> None:
        with self._lock:
            refusal = self._refusal(spec)
            if refusal is not None:
                self._refused[spec.name] += 1
                raise refusal
            self._busy[spec.name] += 1

    def _refusal(self, spec: FunctionSpec) -> Throttled | None:
        reserved = spec.reserved_concurrency
        if reserved is not None and self._busy[spec.name] >= reserved:
            reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            return Throttled(spec.name, reserved, reason)
        if self._busy.total() >= self._limit:
            return Throttled("the stack", self._limit, "ConcurrentInvocationLimitExceeded")
        return None
