"""The core of a communicator: runs one call, and turns trouble on a link into the job's failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fmilib.api.failure_reporter import FailureReporter
from fmilib.api.operands import whole
from fmilib.api.requests import PostedReceives
from fmilib.channels.base import Channel, Sending
from fmilib.channels.loopback import LoopbackChannel
from fmilib.collectives.allreduce import allreduce, ordered_allreduce
from fmilib.collectives.reduce import ordered_reduce, reduce
from fmilib.collectives.scan import ordered_scan, scan
from fmilib.config import Settings
from fmilib.cost_model.advisor import Advisor
from fmilib.errors import Aborted, FmiError, PeerFailed, Timeout
from fmilib.links.job_state import JobState
from fmilib.links.link import LinkLost, LinkQuiet, LinkTrouble, PeerLeft, Poisoned
from fmilib.stats import Stats
from fmilib.wire import arrays, codec, failure, frames
from fmilib.wire.frames import NO_TYPE, Envelope, Operation
from fmilib.wire.reductions import Op

Array = npt.NDArray[Any]
Result = TypeVar("Result")
MAX_TAG = 2**31 - 1
VERDICT_OF_DETECT = 0.2


class Engine:
    """What every call of a communicator needs."""

    def __init__(
        self,
        settings: Settings,
        channel: Channel,
        state: JobState,
        control: FailureReporter | None,
        stats: Stats,
        form_by: float,
        context: int = 0,
    ) -> None:
        self.rank = channel.rank
        self.size = channel.size
        self.context = context
        self.last_context = [context]  # of all communicators that came of one
        self.advisor = Advisor(settings)
        self.settings = settings
        self.channel = channel
        self.own = LoopbackChannel(settings.rank)
        self.state = state
        self.control = control
        self.stats = stats
        self.form_by = form_by
        self.posted = PostedReceives()
        self._sequence = 0
        self.closed = False
        self._proven: set[tuple[Op, np.dtype[Any]]] = set()

    def collective(
        self,
        operation: Operation,
        *,
        root: int = -1,
        like: Array | None = None,
        reduction: int = 0,
        ragged: bool = False,
    ) -> Envelope:
        """Take the next collective's number.

        The last thing before it runs: an argument that is refused afterwards would leave this
        rank one number ahead of the others.
        """
        sequence = (self._sequence + 1) & 0xFFFFFFFF
        dtype, count, shape = NO_TYPE, 0, 0
        if like is not None:
            dtype = arrays.dtype_code(like.dtype)
            if not ragged:
                count, shape = like.size, frames.shape_code(like.shape)
        call = frames.collective(
            operation, sequence, root, reduction, dtype, count, self.context, shape
        )
        self._sequence = sequence
        return call

    def message(self, peer: int, tag: int, like: Array | None = None) -> Envelope:
        """Return the envelope of a message; of an array, with its dtype and size.

        Raises:
            ValueError, TypeError: there is no such rank or tag.
        """
        self.checked_rank("peer", peer)
        tag = whole("tag", tag)
        if not 0 <= tag <= MAX_TAG:
            raise ValueError(f"tag must be 0..{MAX_TAG}, got {tag}")
        dtype = NO_TYPE if like is None else arrays.dtype_code(like.dtype)
        count = 0 if like is None else like.size
        return frames.message(tag, dtype=dtype, count=count, context=self.context)

    def checked_rank(self, name: str, rank: int) -> int:
        """Return a rank as Python's integer: arithmetic with numpy's small ones would wrap.

        Raises:
            TypeError: it is no integer.
            ValueError: there is no such rank.
        """
        rank = whole(name, rank)
        if not 0 <= rank < self.size:
            raise ValueError(f"{name} must be 0..{self.size - 1}, got {rank}")
        return rank

    def send(self, dest: int, call: Envelope, parts: list[codec.Buffer]) -> None:
        """Send one message, to this rank itself too."""
        self._channel_to(dest).send(self._place(dest), call, parts)

    def begin(self, dest: int, call: Envelope, parts: list[codec.Buffer]) -> Sending:
        """Begin to send one message."""
        return self._channel_to(dest).begin(self._place(dest), call, parts)

    def receive(self, source: int, call: Envelope, into: memoryview | None = None) -> memoryview:
        """Receive one message, into a buffer if there is one."""
        return self._channel_to(source).receive(self._place(source), call, into)

    def _channel_to(self, peer: int) -> Channel:
        return self.own if peer == self.rank else self.channel

    def _place(self, peer: int) -> int:
        return 0 if peer == self.rank else int(peer)

    def prove(self, op: Op, dtype: np.dtype[Any]) -> None:
        """Find out before anything is sent whether a reduction takes a dtype."""
        if (op, dtype) not in self._proven:
            op.check(dtype)
            if op.ufunc is not None:  # functions may be new ones every time
                self._proven.add((op, dtype))

    def run(
        self, name: str, action: Callable[[], Result], only_needed: int | None = None
    ) -> Result:
        """Do one operation; turn trouble on a link into the job's failure.

        `only_needed` is the one rank that it can't do without; None if that is every rank.
        """
        if not self.state.enter(only_needed):
            raise self._second_call(name)
        try:
            return self._counted(name, action)
        finally:
            self.state.leave()

    def _second_call(self, name: str) -> FmiError:
        """Fail the job: frames of two calls at once would be taken for each other's."""
        error = Aborted(
            self.settings.rank,
            f"{name} was called while another call was still running: a communicator, and all "
            "that came of it, belong to one thread",
        )
        self.spread(error)
        return error

    def _counted(self, name: str, action: Callable[[], Result]) -> Result:
        state = self.state
        if self.closed or state.closed or state.epoch is None:
            self.ready()
        stats = self.stats
        line = stats.op(name)
        began, waited, moved = time.perf_counter(), stats.wait_s, stats.sent_bytes
        try:
            return action()
        except LinkTrouble as trouble:
            raise self.settle(name, trouble) from None
        except FmiError as error:
            self.spread(error)
            raise
        except BaseException as error:
            reason = f"{name} was broken off by {type(error).__name__}: {error}"
            self.spread(Aborted(self.settings.rank, reason))
            raise
        finally:
            seconds = time.perf_counter() - began
            line.calls += 1
            line.seconds += seconds
            line.wait_s += stats.wait_s - waited
            self.advisor.observe(name, stats.sent_bytes - moved, seconds)

    def swap(
        self, dest: int, outgoing: Envelope, parts: list[codec.Buffer], source: int,
        incoming: Envelope, into: memoryview | None = None,
    ) -> memoryview:  # fmt: skip
        """Send to one rank while another's message is received; either may be this one."""
        if self.rank not in (dest, source):
            return self.channel.swap(int(dest), outgoing, parts, int(source), incoming, into)
        self.send(dest, outgoing, parts)
        return self.receive(source, incoming, into)

    def reduction(self, operation: Operation, array: Array, op: Op, root: int = -1) -> Envelope:
        """Take the next collective's number for a reduction, once it is known to be defined."""
        self.prove(op, array.dtype)
        return self.collective(operation, root=root, like=array, reduction=op.code)

    def allreduce(self, name: str, array: Array, op: Op, *, deterministic: bool) -> None:
        """Reduce `array` over all ranks, in place on each."""
        call = self.reduction(Operation.ALLREDUCE, array, op)
        way = ordered_allreduce if deterministic or op.ordered else allreduce
        self.run(name, lambda: self.size > 1 and way(self.channel, call, array, op))

    def reduce(self, name: str, array: Array, op: Op, root: int, *, deterministic: bool) -> None:
        """Reduce `array` over all ranks, in place at the root; elsewhere it is undefined after."""
        call = self.reduction(Operation.REDUCE, array, op, root)
        way = ordered_reduce if deterministic or op.ordered else reduce
        self.run(name, lambda: self.size > 1 and way(self.channel, call, array, op, root))

    def scan(
        self, name: str, operation: Operation, array: Array, op: Op, *, deterministic: bool
    ) -> Array | None:
        """Reduce `array` over the ranks up to this one; return those before it for an exscan."""
        call = self.reduction(operation, array, op)
        way = ordered_scan if deterministic or op.ordered else scan
        return self.run(name, lambda: way(self.channel, call, array, op))

    def ready(self) -> None:
        """Wait until all ranks are there.

        Raises:
            ValueError: this communicator, or the one that it came of, is closed.
            FmiError: the job failed, or not all ranks came in time.
        """
        if self.closed:
            raise ValueError("the communicator is closed")
        self.state.check()
        if self.state.closed:
            raise ValueError("the communicator that this one came of is closed")
        if self.control is not None and self.state.epoch is None:
            self._wait_for_all(self.control)

    def _wait_for_all(self, control: FailureReporter) -> None:
        state = self.state
        left_s = max(0.0, self.form_by - time.monotonic())
        if not state.wait(lambda: state.epoch is not None, left_s):
            error = Timeout("connect", control.ask_who_is_missing(self.patience_s()))
            state.fail(error)
            raise error

    def patience_s(self) -> float:
        """Return how long to wait for the rendezvous's word before trusting one's own eyes."""
        return self.settings.detect_s * VERDICT_OF_DETECT

    def settle(self, name: str, trouble: LinkTrouble) -> FmiError:
        """Return the error that `trouble` means, and make sure that all others learn of it."""
        try:
            if isinstance(trouble, LinkLost):
                self.state.wait(lambda: False, self.patience_s())
            self.spread(self._meaning(name, trouble))
            self.state.check()
        except FmiError as error:
            return error
        raise AssertionError("a failure was spread but isn't known")  # pragma: no cover

    def _meaning(self, name: str, trouble: LinkTrouble) -> FmiError:
        if isinstance(trouble, Poisoned) and (found := failure.decode(trouble.cause)):
            return found.error()
        if isinstance(trouble, LinkQuiet):
            return Timeout(name, (trouble.peer,))
        if isinstance(trouble, PeerLeft):
            cause = f"it {trouble.cause} while rank {self.settings.rank} still needed it for {name}"
            return PeerFailed(trouble.peer, cause)
        return PeerFailed(trouble.peer, trouble.cause)

    def spread(self, error: FmiError) -> None:
        """Make a failure the job's, and tell the other ranks if it is the first."""
        if self.state.fail(error) and self.control is not None:
            self.control.report(failure.of_error(error, self.rank))
