"""What users hold: one rank's place in a job, and the operations on it.

A communicator belongs to the thread that uses it; calls don't run side by side. After the
first failure every further call raises it again: make a new communicator.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from fmilib import codec, frames, verdict
from fmilib.board import Board
from fmilib.channels.base import Channel
from fmilib.channels.solo import Solo
from fmilib.choice import Advisor, Explanation
from fmilib.collectives.allreduce import allreduce, ordered_allreduce
from fmilib.collectives.barrier import barrier
from fmilib.collectives.bcast import bcast, bcast_blob
from fmilib.collectives.gather import gather
from fmilib.config import Settings
from fmilib.control import Control
from fmilib.errors import Aborted, FmiError, PeerFailed, Timeout
from fmilib.frames import NO_TYPE, Call, Operation, type_code
from fmilib.link import LinkLost, LinkQuiet, LinkTrouble, PeerLeft, Poisoned
from fmilib.ops import Combine, Op, named
from fmilib.stats import Stats

Array = npt.NDArray[Any]
Result = TypeVar("Result")
MAX_TAG = 2**31 - 1
VERDICT_OF_DETECT = 0.2
_COUNTING = ("sum", "prod")


class Communicator:
    """A rank's place in a job; made by `fmilib.connect`.

    Attributes:
        rank: this rank.
        size: ranks in the job.
        advisor: what is known of the channels' speed.
    """

    def __init__(
        self,
        settings: Settings,
        channel: Channel,
        board: Board,
        control: Control | None,
        stats: Stats,
        form_by: float,
    ) -> None:
        self.rank = settings.rank
        self.size = settings.size
        self.advisor = Advisor(settings)
        self._settings = settings
        self._channel = channel
        self._own = Solo()
        self._board = board
        self._control = control
        self._stats = stats
        self._form_by = form_by
        self._sequence = 0
        self._closed = False
        self._proven: set[tuple[str, np.dtype[Any]]] = set()

    # -- point to point --------------------------------------------------------

    def send(self, value: Any, dest: int, tag: int = 0) -> None:
        """Send an array or a plain object to one rank.

        Returns when the kernel has it; `value` may be changed then.

        Args:
            value: anything that `fmilib.codec` knows.
            dest: the rank that receives it.
            tag: 0 ≤ tag < 2³¹; messages of one tag stay in order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        call = self._message(dest, tag)
        parts = codec.encode(value)
        self._run("send", lambda: self._to(dest).send(self._place(dest), call, parts))

    def recv(self, source: int, tag: int = 0) -> Any:
        """Return the next array or object that `source` sent with this tag.

        Raises:
            ValueError: before anything is received.
            FmiError: the job failed.
        """
        call = self._message(source, tag)
        return self._run(
            "recv", lambda: codec.decode(self._to(source).receive(self._place(source), call))
        )

    def Send(self, buffer: Array, dest: int, tag: int = 0) -> None:  # noqa: N802
        """Send a C-contiguous array whose dtype and size the receiver knows.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        call = self._message(dest, tag, buffer)
        parts: list[codec.Buffer] = [_flat(buffer)]
        self._run("Send", lambda: self._to(dest).send(self._place(dest), call, parts))

    def Recv(self, buffer: Array, source: int, tag: int = 0) -> None:  # noqa: N802
        """Fill a C-contiguous array with what `source` sent with this tag.

        Raises:
            ValueError, TypeError: before anything is received.
            MismatchError: dtype or size differ from what was sent.
            FmiError: the job failed.
        """
        call = self._message(source, tag, buffer)
        into = _flat(buffer, write=True)
        self._run("Recv", lambda: self._to(source).receive(self._place(source), call, into))

    # -- collectives -----------------------------------------------------------

    def barrier(self) -> None:
        """Return once every rank has called it.

        Raises:
            FmiError: the job failed.
        """
        call = self._collective(Operation.BARRIER)
        self._run("barrier", lambda: barrier(self._channel, call))

    def bcast(self, value: Any = None, root: int = 0) -> Any:
        """Return the root's array or object on every rank.

        Args:
            value: at the root, anything that `fmilib.codec` knows; ignored elsewhere.
            root: the rank that has it.

        Returns:
            The very `value` at the root; elsewhere a copy, arrays being writable.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._check_rank("root", root)
        parts = codec.encode(value) if self.rank == root else None
        call = self._collective(Operation.BCAST, root=root)
        blob = self._run("bcast", lambda: bcast_blob(self._channel, call, root, parts))
        return value if blob is None else codec.decode(blob)

    def Bcast(self, buffer: Array, root: int = 0) -> None:  # noqa: N802
        """Fill a C-contiguous array of every rank with the root's, dtype and size being equal.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._check_rank("root", root)
        payload = _flat(buffer, write=self.rank != root)
        call = self._collective(Operation.BCAST, root=root, like=buffer)
        self._run("Bcast", lambda: bcast(self._channel, call, root, payload))

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """Bring every rank's array or object to the root; shapes and types may differ.

        Returns:
            At the root a list in rank order, its own item being the very `value`, other
            arrays views of received buffers; None elsewhere.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._check_rank("root", root)
        parts = codec.encode(value)
        call = self._collective(Operation.GATHER, root=root)
        blobs = self._run("gather", lambda: gather(self._channel, call, root, parts))
        if blobs is None:
            return None
        return [value if rank == root else codec.decode(blob) for rank, blob in enumerate(blobs)]

    def allreduce(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce an array or a number over all ranks, element by element.

        Args:
            value: array of any numeric dtype, or a number; equal dtype and size on all ranks.
                Booleans are counted (int64) by sum and prod.
            op: sum prod min max land lor lxor band bor bxor, or a callable (see `ops.named`).
            deterministic: fold in rank order, ((x0 ∘ x1) ∘ x2) ∘ …, whatever the size; the
                result then depends on the values alone. All ranks get the same bits anyway.

        Returns:
            A new array of that shape, or a number of that kind.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        reduction = named(op)
        array = _reducible(value, reduction)
        self._reduce_in_place("allreduce", array, reduction, deterministic=deterministic)
        if isinstance(value, np.ndarray):
            return array
        return array[()] if isinstance(value, np.generic) else array.item()

    def Allreduce(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce `send` over all ranks into `out`, both C-contiguous and alike; they may be one.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        _flat(out, write=True)
        if send.dtype != out.dtype or send.shape != out.shape:
            raise ValueError(f"{send.dtype}{send.shape} doesn't fit {out.dtype}{out.shape}")
        reduction = named(op)
        self._prove(reduction, out.dtype)
        if send is not out:
            out[...] = send
        self._reduce_in_place("Allreduce", out, reduction, deterministic=deterministic)

    def _reduce_in_place(self, name: str, array: Array, op: Op, *, deterministic: bool) -> None:
        self._prove(op, array.dtype)
        call = self._collective(Operation.ALLREDUCE, like=array, reduction=op.code)
        way = ordered_allreduce if deterministic or not op.commutative else allreduce
        if self.size > 1:
            self._run(name, lambda: way(self._channel, call, array, op))
        else:
            self._run(name, lambda: None)

    # -- life ------------------------------------------------------------------

    def form(self) -> None:
        """Wait until all ranks are there; `connect` has done it unless told not to wait.

        Raises:
            Timeout: some didn't come in time; it names them.
            FmiError: the job failed.
        """
        self._ready()

    def stats(self) -> Stats:
        """Return a copy of this communicator's counters."""
        return copy.deepcopy(self._stats)

    def explain(self, op: str, nbytes: int = 0) -> Explanation:
        """Return what an operation takes and costs on every channel; printed, the sums.

        Args:
            op: a method's name, like "allreduce".
            nbytes: payload that one rank hands in.

        Raises:
            ValueError: no operation has that name.
        """
        return self.advisor.explain(op, nbytes)

    def abort(self, reason: str) -> None:
        """Stop the job: every rank, this one included, raises Aborted from now on."""
        self._spread(Aborted(self.rank, reason))

    def close(self) -> None:
        """Leave: wait until what was sent has reached its ranks' machines, then let go.

        Not a barrier; other ranks may go on without this one. Safe to call twice.
        """
        if self._closed:
            return
        self._closed = True
        if self._control is not None:
            self._flush()
            self._control.finish()
        self._board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self._board.failed:
            self.abort(f"{type(error).__name__}: {error}")
        self.close()

    def __repr__(self) -> str:
        return f"<Communicator rank {self.rank} of {self.size} in {self._settings.job!r}>"

    # -- inside ----------------------------------------------------------------

    def _collective(
        self, operation: Operation, *, root: int = -1, like: Array | None = None, reduction: int = 0
    ) -> Call:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        dtype = NO_TYPE if like is None else type_code(codec.dtype_text(like.dtype))
        count = 0 if like is None else like.size
        return frames.collective(
            operation, self._sequence, root=root, reduction=reduction, dtype=dtype, count=count
        )

    def _message(self, peer: int, tag: int, like: Array | None = None) -> Call:
        self._check_rank("peer", peer)
        if not 0 <= tag <= MAX_TAG:
            raise ValueError(f"tag must be 0..{MAX_TAG}, got {tag}")
        dtype = NO_TYPE if like is None else type_code(codec.dtype_text(like.dtype))
        count = 0 if like is None else like.size
        return frames.message(tag, dtype=dtype, count=count)

    def _check_rank(self, name: str, rank: int) -> None:
        if not 0 <= rank < self.size:
            raise ValueError(f"{name} must be 0..{self.size - 1}, got {rank}")

    def _to(self, peer: int) -> Channel:
        return self._own if peer == self.rank else self._channel

    def _place(self, peer: int) -> int:
        return 0 if peer == self.rank else peer

    def _prove(self, op: Op, dtype: np.dtype[Any]) -> None:
        """Find out before anything is sent whether a reduction takes a dtype."""
        if op.ufunc is not None and (op.name, dtype) not in self._proven:
            nothing = np.empty(0, dtype)
            op.into(nothing, nothing)
            self._proven.add((op.name, dtype))

    def _run(self, name: str, action: Callable[[], Result]) -> Result:
        """Do one operation; turn trouble on a link into the job's failure."""
        self._ready()
        line = self._stats.op(name)
        began, waited = time.perf_counter(), self._stats.wait_s
        moved = self._stats.sent_bytes
        try:
            return action()
        except LinkTrouble as trouble:
            raise self._settle(name, trouble) from None
        except FmiError as error:
            self._spread(error)
            raise
        except BaseException as error:
            self._spread(Aborted(self.rank, f"{name} was broken off by {type(error).__name__}"))
            raise
        finally:
            seconds = time.perf_counter() - began
            line.calls += 1
            line.seconds += seconds
            self.advisor.observe(name, self._stats.sent_bytes - moved, seconds)
            line.wait_s += self._stats.wait_s - waited

    def _ready(self) -> None:
        if self._closed:
            raise ValueError("the communicator is closed")
        self._board.check()
        if self._control is not None and self._board.epoch is None:
            self._wait_for_all(self._control)

    def _wait_for_all(self, control: Control) -> None:
        board = self._board
        left_s = max(0.0, self._form_by - time.monotonic())
        if not board.wait(lambda: board.epoch is not None, left_s):
            error = Timeout("connect", control.ask_who_is_missing(self._patience_s()))
            board.fail(error)
            raise error

    def _patience_s(self) -> float:
        """Return how long to wait for the rendezvous's word before trusting one's own eyes."""
        return self._settings.detect_s * VERDICT_OF_DETECT

    def _settle(self, name: str, trouble: LinkTrouble) -> FmiError:
        """Return the error that `trouble` means, and make sure that all others learn of it."""
        try:
            if isinstance(trouble, LinkLost):
                self._board.wait(lambda: False, self._patience_s())
            self._spread(self._meaning(name, trouble))
            self._board.check()
        except FmiError as error:
            return error
        raise AssertionError("a failure was spread but isn't known")  # pragma: no cover

    def _meaning(self, name: str, trouble: LinkTrouble) -> FmiError:
        if isinstance(trouble, Poisoned) and (found := verdict.decode(trouble.cause)):
            return found.error()
        if isinstance(trouble, LinkQuiet):
            return Timeout(name, (trouble.peer,))
        if isinstance(trouble, PeerLeft):
            cause = f"it {trouble.cause} while rank {self.rank} still needed it for {name}"
            return PeerFailed(trouble.peer, cause)
        return PeerFailed(trouble.peer, trouble.cause)

    def _spread(self, error: FmiError) -> None:
        if self._board.fail(error) and self._control is not None:
            self._control.report(verdict.of_error(error, self.rank))

    def _flush(self) -> None:
        """Say goodbye on every link and wait, bounded, until all of it is acknowledged."""
        links = [] if self._board.failed else self._board.links()
        for link in links:
            link.bye()
        until, pause_s = time.monotonic() + self._settings.timeout_s, 0.0002
        while any(link.unsent() for link in links) and not self._board.failed:
            if time.monotonic() > until:
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.01)


def _flat(array: Array, *, write: bool = False) -> memoryview:
    """Return the bytes of a user's buffer.

    Raises:
        TypeError: it is no array, or has Python objects in it.
        ValueError: it isn't C-contiguous, or must be written and can't be.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a buffer is a numpy array, got {type(array).__name__}")
    codec.dtype_text(array.dtype)
    if not array.flags.c_contiguous or (write and not array.flags.writeable):
        raise ValueError("a buffer must be C-contiguous" + (" and writable" if write else ""))
    return codec.flat(array)


def _reducible(value: Any, op: Op) -> Array:
    """Return a new C-contiguous array of what is to be reduced.

    Raises:
        TypeError: it has Python objects in it.
    """
    array = np.array(value, order="C", copy=True)
    codec.dtype_text(array.dtype)
    if array.dtype == np.bool_ and op.name in _COUNTING:
        return array.astype(np.int64)
    return array
