"""The communicator: one rank's place in a job, and the operations on it.

A communicator belongs to the thread that uses it, and its calls don't run at the same time. After
the first failure every further call raises it again: make a new communicator.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from fmilib.api.buffer_api import BufferCalls
from fmilib.api.engine import Array, Engine
from fmilib.api.lifecycle import Lifecycle
from fmilib.api.object_api import ObjectCollectives
from fmilib.api.partial_gather import Gathered
from fmilib.api.point_to_point import Messages
from fmilib.api.requests import Request
from fmilib.config import check_timeout
from fmilib.cost_model.advisor import Advisor
from fmilib.cost_model.estimate import Explanation
from fmilib.errors import Aborted
from fmilib.stats import Stats
from fmilib.wire.reductions import Combine, Op

JoinAgain = Callable[[float | None], "Communicator"]


class Communicator:
    """A rank's place in a job; made by `fmilib.connect`.

    Each method makes one call of the part that does the work: messages, collectives on objects,
    calls on buffers, or the communicator's life. These run on one engine, which counts calls and
    turns trouble on a link into the job's failure.

    Args:
        engine: Runs each call.
        join_again: Joins the job again within a number of seconds; None if that is impossible.

    Attributes:
        rank: this rank.
        size: ranks in the job.
    """

    def __init__(self, engine: Engine, join_again: JoinAgain | None = None) -> None:
        self.rank = engine.rank
        self.size = engine.size
        self._engine = engine
        self._join_again = join_again
        self._life = Lifecycle(engine)
        self._messages = Messages(engine)
        self._objects = ObjectCollectives(engine)
        self._buffers = BufferCalls(engine)

    @property
    def advisor(self) -> Advisor:
        """What is known about the channels' speed."""
        return self._engine.advisor

    @property
    def formed(self) -> bool:
        """Whether all ranks are there, so that no call has to wait for them; never waits.

        Raises:
            FmiError: the job failed.
        """
        return self._life.formed()

    def form(self) -> None:
        """Wait until all ranks are there; `connect` has done so unless told not to wait.

        Raises:
            Timeout: some didn't come in time; it names them.
            FmiError: the job failed.
        """
        self._engine.ready()

    def stats(self) -> Stats:
        """Return a copy of this communicator's counters."""
        return copy.deepcopy(self._engine.stats)

    def explain(self, op: str, nbytes: int = 0) -> Explanation:
        """Return what an operation takes and costs on every channel; print it for the calculation.

        Args:
            op: a method's name, like "allreduce".
            nbytes: payload that one rank hands in.

        Raises:
            ValueError: no operation has that name.
        """
        return self._engine.advisor.explain(op, nbytes)

    def abort(self, reason: str) -> None:
        """Stop the job: every rank, this one included, raises Aborted from now on."""
        self._engine.spread(Aborted(self._engine.settings.rank, reason))

    def close(self) -> None:
        """Leave the job, after what was sent has reached the machines of the receiving ranks.

        It is not a barrier; other ranks may continue without this one. Safe to call twice.
        """
        self._life.close()

    def rejoin(self, timeout_s: float | None = None) -> Communicator:
        """Leave the failed job and form it again, with all its ranks; return the new communicator.

        Every surviving rank calls it, and the lost one is started again, with a generation above
        that of its last attempt. The job then has a new epoch, so nothing from the old one can
        match. This communicator, and all that were made from it, are closed.

        Args:
            timeout_s: how long forming may take, this time only; the job's time-out if None.

        Raises:
            ValueError: the job was joined with on_failure="abort", or hasn't failed.
            Timeout: not all ranks came in time; it names them.
            FmiError: as `connect`.
        """
        self._life.check_rejoin(possible=self._join_again is not None)
        if timeout_s is not None:
            check_timeout(timeout_s)
        self.close()
        assert self._join_again is not None  # noqa: S101 - it was checked
        return self._join_again(timeout_s)

    def dup(self) -> Communicator:
        """Return a communicator of the same ranks whose messages are separate from this one's.

        All ranks call it together. Closing it ends only itself.

        Raises:
            FmiError: the job failed.
        """
        made = self.split(0, self.rank)
        assert made is not None  # noqa: S101 - a colour was given
        return made

    def split(self, color: int | None, key: int = 0) -> Communicator | None:
        """Return a communicator of the ranks that gave the same color, ordered by key.

        All ranks call it together. Ranks with equal keys keep their order. Errors still name ranks
        by their numbers in the job.

        Args:
            color: 0 or more; None for a rank that gets no new communicator.
            key: any integer.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        engine = self._life.split(color, key)
        return None if engine is None else Communicator(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self._engine.state.failed:
            self.abort(f"{type(error).__name__}: {error}")
        self.close()

    def __repr__(self) -> str:
        settings, context = self._engine.settings, self._engine.context
        place = f"rank {self.rank} of {self.size} in {settings.job!r}"
        return f"<Communicator {place}, context {context}>"

    def send(self, value: Any, dest: int, tag: int = 0) -> None:
        """Send an array or a plain object to one rank.

        Returns when the kernel has it; `value` may be changed then.

        Args:
            value: anything that `fmilib.wire.codec` knows.
            dest: the rank that receives it.
            tag: 0 ≤ tag < 2³¹; messages with the same tag stay in order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._messages.send(value, dest, tag)

    def recv(self, source: int, tag: int = 0) -> Any:
        """Return the next array or object that `source` sent with this tag.

        Raises:
            ValueError: before anything is received.
            FmiError: the job failed.
        """
        return self._messages.recv(source, tag)

    def sendrecv(
        self, value: Any, dest: int, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> Any:
        """Send to one rank and receive from another (or the same) at the same time.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._messages.sendrecv(value, dest, source, sendtag, recvtag)

    def isend(self, value: Any, dest: int, tag: int = 0) -> Request:
        """Start to send; `value` mustn't change until the request is complete.

        What the kernel accepts leaves at once, the rest whenever this rank is in a call of the
        communicator: `test` and `wait` of any request, any other operation, `close`. It doesn't
        wait for anybody, except that the first message to a rank waits for the link. Messages with
        the same tag stay in order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._messages.isend(value, dest, tag)

    def irecv(self, source: int, tag: int = 0) -> Request:
        """Start to receive; requests of one source and tag get messages in the requests' order.

        Raises:
            ValueError: before anything is received.
        """
        return self._messages.irecv(source, tag)

    def iprobe(self, source: int | None = None, tag: int = 0) -> int | None:
        """Return a rank whose message with this tag has come, None if none has; never waits.

        `recv(rank, tag)` then returns it without waiting for the sender. It is cheap, one poll of
        the links' sockets; other messages that have come are put aside for their own calls. Several
        senders take turns. A message for which an `irecv` was started counts until it ends.

        Args:
            source: the only rank that counts; None for all, this one included.
            tag: the only tag that counts.

        Raises:
            ValueError: no such rank or tag.
            FmiError: the job failed.
        """
        return self._messages.iprobe(source, tag)

    def barrier(self) -> None:
        """Return once every rank has called it.

        Raises:
            FmiError: the job failed.
        """
        self._objects.barrier()

    def bcast(self, value: Any = None, root: int = 0) -> Any:
        """Return the root's array or object on every rank.

        Args:
            value: at the root, anything that `fmilib.wire.codec` knows; ignored elsewhere.
            root: the rank that has it.

        Returns:
            At the root `value` itself; elsewhere a copy, in which arrays are writable.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.bcast(value, root)

    @overload
    def gather(
        self, value: Any, root: int = 0, *, missing: Literal["raise"] = "raise"
    ) -> list[Any] | None: ...

    @overload
    def gather(
        self,
        value: Any,
        root: int = 0,
        *,
        missing: Literal["report"],
        deadline: float | None = None,
    ) -> Gathered | None: ...

    def gather(
        self,
        value: Any,
        root: int = 0,
        *,
        missing: Literal["raise", "report"] = "raise",
        deadline: float | None = None,
    ) -> list[Any] | Gathered | None:
        """Bring every rank's array or object to the root; shapes and types may differ.

        With missing="report" on all ranks, a rank that is lost before or during the call doesn't
        make the others fail: each sends straight to the root, which gets every value that came. If
        a rank was lost, later calls raise PeerFailed, except another such gather and `close`.

        Args:
            value: anything that `fmilib.wire.codec` knows.
            root: the rank that gets them.
            missing: whether to "raise" if a rank is lost, or to "report" it.
            deadline: with "report", how many seconds from now the root waits; the job's time-out
                if None. A rank that comes later counts as missing, and continues.

        Returns:
            At the root a list in rank order; its own item is `value` itself, and other arrays are
            views of received buffers. With "report" a `Gathered`. None elsewhere.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.gather(value, root, missing=missing, deadline=deadline)

    def allreduce(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce an array or a number over all ranks, element by element.

        Args:
            value: array of any numeric dtype, or a number; equal dtype and size on all ranks.
                Booleans are counted (int64) by sum and prod.
            op: sum prod min max land lor lxor band bor bxor, or a callable, whose result must have
                its operands' dtype and shape (see `reductions.named`).
            deterministic: fold in rank order, ((x0 ∘ x1) ∘ x2) ∘ …, whatever the size; the
                result then depends on the values alone. All ranks get the same bits anyway.

        Returns:
            A new array of that shape, or a number of that kind.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.allreduce(value, op, deterministic=deterministic)

    def reduce(
        self,
        value: Any,
        op: str | Op | Combine = "sum",
        root: int = 0,
        *,
        deterministic: bool = False,
    ) -> Any:
        """Do what `allreduce` does, for the root alone.

        Returns:
            At the root a new array or number; None elsewhere.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.reduce(value, op, root, deterministic=deterministic)

    def scan(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce over the ranks up to this one: x0 ∘ … ∘ x_rank.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.scan(value, op, deterministic=deterministic)

    def exscan(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce over the ranks before this one; None at rank 0.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.exscan(value, op, deterministic=deterministic)

    def reduce_scatter(
        self, values: Sequence[Any], op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce a list with one item per rank over all ranks, and return this rank's item.

        Args:
            values: as many arrays or numbers as there are ranks, of one shape and dtype; or an
                array with that many rows.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.reduce_scatter(values, op, deterministic=deterministic)

    def scatter(self, values: Sequence[Any] | None = None, root: int = 0) -> Any:
        """Return the root's item for this rank; shapes and types may differ.

        Args:
            values: at the root one array or object per rank, or an array with that many rows;
                ignored elsewhere.
            root: the rank that has them.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.scatter(values, root)

    gatherv, scatterv = gather, scatter  # objects of different sizes need no other call

    def allgather(self, value: Any) -> list[Any]:
        """Return every rank's array or object, in rank order; shapes and types may differ.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.allgather(value)

    def alltoall(self, values: Sequence[Any]) -> list[Any]:
        """Hand item r to rank r; return what each rank handed to this one, in rank order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        return self._objects.alltoall(values)

    def Send(self, buffer: Array, dest: int, tag: int = 0) -> None:  # noqa: N802
        """Send a C-contiguous array whose dtype and size the receiver knows.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._buffers.Send(buffer, dest, tag)

    def Recv(self, buffer: Array, source: int, tag: int = 0) -> None:  # noqa: N802
        """Fill a C-contiguous array with what `source` sent with this tag.

        Raises:
            ValueError, TypeError: before anything is received.
            MismatchError: dtype or size differ from what was sent.
            FmiError: the job failed.
        """
        self._buffers.Recv(buffer, source, tag)

    def Bcast(self, buffer: Array, root: int = 0) -> None:  # noqa: N802
        """Fill every rank's C-contiguous array with the root's, of the same dtype and size.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._buffers.Bcast(buffer, root)

    def Allreduce(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce `send` over all ranks into `out`, a C-contiguous array like it; both may be one.

        sum and prod count booleans; `out` is then int64.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._buffers.Allreduce(send, out, op, deterministic=deterministic)

    def Sendrecv(  # noqa: N802
        self, send: Array, dest: int, out: Array, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> None:
        """Send one array and, at the same time, fill another that shares no memory with it.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._buffers.Sendrecv(send, dest, out, source, sendtag, recvtag)

    def Barrier(self) -> None:  # noqa: N802
        """Return once every rank has called it."""
        self._buffers.Barrier()

    def Reduce(  # noqa: N802
        self,
        send: Array,
        out: Array | None = None,
        op: str | Op | Combine = "sum",
        root: int = 0,
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce `send` over all ranks into the root's `out`, an array like it.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        self._buffers.Reduce(send, out, op, root, deterministic=deterministic)

    def Scan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce over the ranks up to this one into `out`, like `send` or `send` itself."""
        self._buffers.Scan(send, out, op, deterministic=deterministic)

    def Exscan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce over the ranks before this one into `out`, which rank 0 leaves unchanged.

        `out` is an array like `send`, or `send` itself.
        """
        self._buffers.Exscan(send, out, op, deterministic=deterministic)

    def Gather(self, send: Array, out: Array | None = None, root: int = 0) -> None:  # noqa: N802
        """Bring every rank's array to the root: row r of `out` is rank r's.

        Args:
            send: of the same shape and dtype on all ranks.
            out: at the root, (size, *send.shape) of the same dtype; ignored elsewhere. `send`
                may be the root's own row of it, and no other part.
            root: the rank that gathers.
        """
        self._buffers.Gather(send, out, root)

    def Gatherv(  # noqa: N802
        self, send: Array, out: Array | None, counts: Sequence[int] | None, root: int = 0
    ) -> None:
        """Do the same for different sizes: `counts` elements from each rank, one after another.

        Args:
            send: same dtype on all ranks.
            out: at the root, as many elements as the sum of `counts`; ignored elsewhere.
            counts: at the root, one number per rank; ignored elsewhere.
            root: the rank that gathers.
        """
        self._buffers.Gatherv(send, out, counts, root)

    def Scatter(self, send: Array | None, out: Array, root: int = 0) -> None:  # noqa: N802
        """Fill every rank's `out` with its row of the root's `send`.

        Args:
            send: at the root, (size, *out.shape) of the same dtype; ignored elsewhere.
            out: of the same shape and dtype on all ranks; at the root it may be its own row of
                `send`, and no other part.
            root: the rank that scatters.
        """
        self._buffers.Scatter(send, out, root)

    def Scatterv(  # noqa: N802
        self, send: Array | None, counts: Sequence[int] | None, out: Array, root: int = 0
    ) -> None:
        """Do the same for different sizes: `counts` elements of `send` to each rank."""
        self._buffers.Scatterv(send, counts, out, root)

    def Allgather(self, send: Array, out: Array) -> None:  # noqa: N802
        """Bring every rank's array to every rank: row r of `out` is rank r's.

        `send` may be this rank's own row of `out`, and no other part of it.
        """
        self._buffers.Allgather(send, out)

    def Alltoall(self, send: Array, out: Array) -> None:  # noqa: N802
        """Hand row r of `send` to rank r; row r of `out` is what rank r handed to this one.

        Both have the same shape and dtype, and may be the same array.
        """
        self._buffers.Alltoall(send, out)

    def Reduce_scatter(  # noqa: N802
        self,
        send: Array,
        out: Array,
        counts: Sequence[int] | None = None,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce `send` over all ranks; fill `out` with this rank's part of the result.

        Args:
            send: of the same shape and dtype on all ranks.
            out: counts[rank] elements; it may be this rank's part of `send`, and no other.
            counts: elements of each rank's part, the same on all ranks; equal parts if None.
            op: as in `allreduce`.
            deterministic: as in `allreduce`.
        """
        self._buffers.Reduce_scatter(send, out, counts, op, deterministic=deterministic)
