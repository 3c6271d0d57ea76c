"""The buffer interface: upper-case calls on C-contiguous numpy arrays, filled in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmilib.api.engine import Array, Engine
from fmilib.api.operands import (
    alike,
    apart,
    as_buffer,
    at_root,
    counts_of,
    parts,
    reduced_alike,
    working_copy,
)
from fmilib.collectives.barrier import barrier
from fmilib.collectives.bcast import bcast
from fmilib.collectives.exchange import allgather_into, alltoall_into
from fmilib.collectives.gather import gather_into
from fmilib.collectives.reduce import reduce_scatter
from fmilib.collectives.scatter import scatter
from fmilib.wire import codec, frames
from fmilib.wire.frames import Operation
from fmilib.wire.reductions import Combine, Op, named


class BufferCalls:
    """Calls on arrays whose dtype and size all ranks know.

    Args:
        engine: Runs each call.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def Send(self, buffer: Array, dest: int, tag: int = 0) -> None:  # noqa: N802
        """See `Communicator.Send`."""
        call = self._engine.message(dest, tag, as_buffer(buffer))
        payload: list[codec.Buffer] = [codec.flat(buffer)]
        self._engine.run("Send", lambda: self._engine.send(dest, call, payload))

    def Recv(self, buffer: Array, source: int, tag: int = 0) -> None:  # noqa: N802
        """See `Communicator.Recv`."""
        call = self._engine.message(source, tag, as_buffer(buffer, write=True))
        into = codec.flat(buffer)
        self._engine.run("Recv", lambda: self._engine.receive(source, call, into))

    def Bcast(self, buffer: Array, root: int = 0) -> None:  # noqa: N802
        """See `Communicator.Bcast`."""
        root = self._engine.checked_rank("root", root)
        payload = codec.flat(as_buffer(buffer, write=self._engine.rank != root))
        call = self._engine.collective(Operation.BCAST, root=root, like=buffer)
        self._engine.run("Bcast", lambda: bcast(self._engine.channel, call, root, payload))

    def Allreduce(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """See `Communicator.Allreduce`."""
        reduction = named(op)
        dtype = as_buffer(out, write=True).dtype
        if send is not out:
            reduced_alike("Allreduce", as_buffer(send), out, reduction)
            self._engine.prove(reduction, dtype)  # a refused call leaves `out` as it was
            out[...] = send
        elif dtype.kind == "b":  # the only dtype that isn't reduced as it is
            reduced_alike("Allreduce", out, out, reduction)
        self._engine.allreduce("Allreduce", out, reduction, deterministic=deterministic)

    def Sendrecv(  # noqa: N802
        self, send: Array, dest: int, out: Array, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> None:
        """See `Communicator.Sendrecv`."""
        outgoing = self._engine.message(dest, sendtag, as_buffer(send))
        incoming = self._engine.message(source, recvtag, as_buffer(out, write=True))
        apart("Sendrecv", send, out)
        payload: list[codec.Buffer] = [codec.flat(send)]
        into = codec.flat(out)
        self._engine.run(
            "Sendrecv", lambda: self._engine.swap(dest, outgoing, payload, source, incoming, into)
        )

    def Barrier(self) -> None:  # noqa: N802
        """See `Communicator.Barrier`."""
        call = self._engine.collective(Operation.BARRIER)
        self._engine.run("Barrier", lambda: barrier(self._engine.channel, call))

    def Reduce(  # noqa: N802
        self,
        send: Array,
        out: Array | None = None,
        op: str | Op | Combine = "sum",
        root: int = 0,
        *,
        deterministic: bool = False,
    ) -> None:
        """See `Communicator.Reduce`."""
        root, reduction = self._engine.checked_rank("root", root), named(op)
        array = working_copy(as_buffer(send), reduction)
        found = as_buffer(at_root("out", out), write=True) if self._engine.rank == root else None
        if found is not None:
            reduced_alike("Reduce", send, found, reduction)
        self._engine.reduce("Reduce", array, reduction, root, deterministic=deterministic)
        if found is not None:
            found[...] = array

    def Scan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """See `Communicator.Scan`."""
        reduction = named(op)
        reduced_alike("Scan", as_buffer(send), as_buffer(out, write=True), reduction)
        array = working_copy(send, reduction)
        self._engine.scan("Scan", Operation.SCAN, array, reduction, deterministic=deterministic)
        out[...] = array

    def Exscan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """See `Communicator.Exscan`."""
        reduction = named(op)
        reduced_alike("Exscan", as_buffer(send), as_buffer(out, write=True), reduction)
        array = working_copy(send, reduction)
        found = self._engine.scan(
            "Exscan", Operation.EXSCAN, array, reduction, deterministic=deterministic
        )
        if found is not None:
            out[...] = found

    def Gather(self, send: Array, out: Array | None = None, root: int = 0) -> None:  # noqa: N802
        """See `Communicator.Gather`."""
        counts = [as_buffer(send).size] * self._engine.size
        self._gather("Gather", send, out, counts, root, ragged=False)

    def Gatherv(  # noqa: N802
        self, send: Array, out: Array | None, counts: Sequence[int] | None, root: int = 0
    ) -> None:
        """See `Communicator.Gatherv`."""
        self._gather("Gatherv", send, out, counts, root, ragged=True)

    def Scatter(self, send: Array | None, out: Array, root: int = 0) -> None:  # noqa: N802
        """See `Communicator.Scatter`."""
        counts = [as_buffer(out, write=True).size] * self._engine.size
        self._scatter("Scatter", send, counts, out, root, ragged=False)

    def Scatterv(  # noqa: N802
        self, send: Array | None, counts: Sequence[int] | None, out: Array, root: int = 0
    ) -> None:
        """See `Communicator.Scatterv`."""
        self._scatter("Scatterv", send, counts, out, root, ragged=True)

    def Allgather(self, send: Array, out: Array) -> None:  # noqa: N802
        """See `Communicator.Allgather`."""
        counts = [as_buffer(send).size] * self._engine.size
        rows = parts(as_buffer(out, write=True), counts, send.dtype)
        apart("Allgather", send, out, rows[self._engine.rank])
        rows[self._engine.rank][...] = send.reshape(-1)
        into = [codec.flat(row) for row in rows]
        call = self._engine.collective(Operation.ALLGATHER, like=send)
        self._engine.run("Allgather", lambda: allgather_into(self._engine.channel, call, into))

    def Alltoall(self, send: Array, out: Array) -> None:  # noqa: N802
        """See `Communicator.Alltoall`."""
        alike("Alltoall", as_buffer(send), as_buffer(out, write=True))
        given = send.copy() if np.may_share_memory(send, out) else send
        counts = [send.size // self._engine.size] * self._engine.size
        rows, into = parts(given, counts, send.dtype), parts(out, counts, send.dtype)
        into[self._engine.rank][...] = rows[self._engine.rank]
        ours, theirs = [codec.flat(row) for row in rows], [codec.flat(row) for row in into]
        call = self._engine.collective(Operation.ALLTOALL, like=send)
        self._engine.run(
            "Alltoall", lambda: alltoall_into(self._engine.channel, call, ours, theirs)
        )

    def Reduce_scatter(  # noqa: N802
        self,
        send: Array,
        out: Array,
        counts: Sequence[int] | None = None,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """See `Communicator.Reduce_scatter`."""
        reduction, size = named(op), self._engine.size
        array = working_copy(as_buffer(send), reduction).reshape(-1)
        given = counts_of([send.size // size] * size if counts is None else counts, size)
        mine = parts(send, given, send.dtype)[self._engine.rank]
        reduced_alike("Reduce_scatter", mine, as_buffer(out, write=True).reshape(-1), reduction)
        apart("Reduce_scatter", out, send, mine)
        code = frames.counts_code(given)
        call = self._engine.reduction(Operation.REDUCE_SCATTER, array, reduction, code)
        ordered = deterministic or reduction.ordered
        found = self._engine.run(
            "Reduce_scatter",
            lambda: reduce_scatter(
                self._engine.channel, call, array, reduction, given, ordered=ordered
            ),
        )
        out.reshape(-1)[...] = found

    def _gather(
        self,
        name: str,
        send: Array,
        out: Array | None,
        counts: Sequence[int] | None,
        root: int,
        *,
        ragged: bool,
    ) -> None:
        root = self._engine.checked_rank("root", root)
        mine, rows = codec.flat(as_buffer(send)), list[Array]()
        if self._engine.rank == root:
            whole = as_buffer(at_root("out", out), write=True)
            rows = self._rows(whole, counts, send)
            apart(name, send, whole, rows[root])
        call = self._engine.collective(Operation.GATHER, root=root, like=send, ragged=ragged)
        into = [codec.flat(row) for row in rows]
        self._engine.run(name, lambda: gather_into(self._engine.channel, call, root, mine, into))
        if rows:
            rows[root][...] = send.reshape(-1)

    def _scatter(
        self,
        name: str,
        send: Array | None,
        counts: Sequence[int] | None,
        out: Array,
        root: int,
        *,
        ragged: bool,
    ) -> None:
        root = self._engine.checked_rank("root", root)
        into = codec.flat(as_buffer(out, write=True))
        rows: list[Array] = []
        if self._engine.rank == root:
            whole = as_buffer(at_root("send", send))
            rows = self._rows(whole, counts, out)
            apart(name, out, whole, rows[root])
        blobs: list[list[codec.Buffer]] = [[codec.flat(row)] for row in rows]
        call = self._engine.collective(Operation.SCATTER, root=root, like=out, ragged=ragged)
        self._engine.run(name, lambda: scatter(self._engine.channel, call, root, blobs, into))
        if rows:
            out.reshape(-1)[...] = rows[root]

    def _rows(self, array: Array, counts: Sequence[int] | None, own: Array) -> list[Array]:
        """Return the parts of the root's array, of which its own is as large as `own`."""
        rows = parts(array, counts_of(counts, self._engine.size), own.dtype)
        count = rows[self._engine.rank].size
        if count != own.size:
            raise ValueError(f"{own.size} elements of this rank don't fit its count, {count}")
        return rows
