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


class BufferCalls(Engine):
    """Calls on arrays whose dtype and size all ranks know."""

    def Send(self, buffer: Array, dest: int, tag: int = 0) -> None:  # noqa: N802
        """Send a C-contiguous array whose dtype and size the receiver knows.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        call = self._message(dest, tag, as_buffer(buffer))
        payload: list[codec.Buffer] = [codec.flat(buffer)]
        self._run("Send", lambda: self._to(dest).send(self._place(dest), call, payload))

    def Recv(self, buffer: Array, source: int, tag: int = 0) -> None:  # noqa: N802
        """Fill a C-contiguous array with what `source` sent with this tag.

        Raises:
            ValueError, TypeError: before anything is received.
            MismatchError: dtype or size differ from what was sent.
            FmiError: the job failed.
        """
        call = self._message(source, tag, as_buffer(buffer, write=True))
        into = codec.flat(buffer)
        self._run("Recv", lambda: self._to(source).receive(self._place(source), call, into))

    def Bcast(self, buffer: Array, root: int = 0) -> None:  # noqa: N802
        """Fill a C-contiguous array of every rank with the root's, dtype and size being equal.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        root = self._checked("root", root)
        payload = codec.flat(as_buffer(buffer, write=self.rank != root))
        call = self._collective(Operation.BCAST, root=root, like=buffer)
        self._run("Bcast", lambda: bcast(self._channel, call, root, payload))

    def Allreduce(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce `send` over all ranks into `out`, both C-contiguous and alike; they may be one.

        sum and prod count booleans: `out` is int64 then.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        reduction = named(op)
        as_buffer(out, write=True)
        reduced_alike("Allreduce", as_buffer(send), out, reduction)
        self._prove(reduction, out.dtype)
        if send is not out:
            out[...] = send
        self._allreduce("Allreduce", out, reduction, deterministic=deterministic)

    def Sendrecv(  # noqa: N802
        self, send: Array, dest: int, out: Array, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> None:
        """Send one array and fill another that shares no memory with it, side by side.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        outgoing = self._message(dest, sendtag, as_buffer(send))
        incoming = self._message(source, recvtag, as_buffer(out, write=True))
        apart("Sendrecv", send, out)
        payload: list[codec.Buffer] = [codec.flat(send)]
        into = codec.flat(out)
        self._run("Sendrecv", lambda: self._swap(dest, outgoing, payload, source, incoming, into))

    def Barrier(self) -> None:  # noqa: N802
        """Return once every rank has called it."""
        call = self._collective(Operation.BARRIER)
        self._run("Barrier", lambda: barrier(self._channel, call))

    def Reduce(  # noqa: N802
        self,
        send: Array,
        out: Array | None = None,
        op: str | Op | Combine = "sum",
        root: int = 0,
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce `send` over all ranks into the root's `out`, which is alike.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        root, reduction = self._checked("root", root), named(op)
        array = working_copy(as_buffer(send), reduction)
        found = as_buffer(at_root("out", out), write=True) if self.rank == root else None
        if found is not None:
            reduced_alike("Reduce", send, found, reduction)
        self._reduce("Reduce", array, reduction, root, deterministic=deterministic)
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
        """Reduce over the ranks up to this one into `out`, which is like `send` or is it."""
        reduction = named(op)
        reduced_alike("Scan", as_buffer(send), as_buffer(out, write=True), reduction)
        array = working_copy(send, reduction)
        self._scan("Scan", Operation.SCAN, array, reduction, deterministic=deterministic)
        out[...] = array

    def Exscan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce over the ranks before this one into `out`, left alone at rank 0.

        `out` is like `send`, or is it.
        """
        reduction = named(op)
        reduced_alike("Exscan", as_buffer(send), as_buffer(out, write=True), reduction)
        array = working_copy(send, reduction)
        found = self._scan(
            "Exscan", Operation.EXSCAN, array, reduction, deterministic=deterministic
        )
        if found is not None:
            out[...] = found

    def Gather(self, send: Array, out: Array | None = None, root: int = 0) -> None:  # noqa: N802
        """Bring every rank's array to the root: row r of `out` is rank r's.

        Args:
            send: alike on all ranks.
            out: at the root, (size, *send.shape) of the same dtype; ignored elsewhere. `send`
                may be the root's own row of it, and no other part.
            root: the rank that gathers.
        """
        counts = [as_buffer(send).size] * self.size
        self._gather("Gather", send, out, counts, root, ragged=False)

    def Gatherv(  # noqa: N802
        self, send: Array, out: Array | None, counts: Sequence[int] | None, root: int = 0
    ) -> None:
        """Do the same for different sizes: `counts` elements of each rank, one after another.

        Args:
            send: same dtype on all ranks.
            out: at the root, as many elements as `counts` together; ignored elsewhere.
            counts: at the root, one a rank; ignored elsewhere.
            root: the rank that gathers.
        """
        self._gather("Gatherv", send, out, counts, root, ragged=True)

    def Scatter(self, send: Array | None, out: Array, root: int = 0) -> None:  # noqa: N802
        """Fill every rank's `out` with its row of the root's `send`.

        Args:
            send: at the root, (size, *out.shape) of the same dtype; ignored elsewhere.
            out: alike on all ranks; at the root it may be its own row of `send`, and no other part.
            root: the rank that scatters.
        """
        counts = [as_buffer(out, write=True).size] * self.size
        self._scatter("Scatter", send, counts, out, root, ragged=False)

    def Scatterv(  # noqa: N802
        self, send: Array | None, counts: Sequence[int] | None, out: Array, root: int = 0
    ) -> None:
        """Do the same for different sizes: `counts` elements of `send` to each rank."""
        self._scatter("Scatterv", send, counts, out, root, ragged=True)

    def Allgather(self, send: Array, out: Array) -> None:  # noqa: N802
        """Bring every rank's array to every rank: row r of `out` is rank r's.

        `send` may be this rank's own row of `out`, and no other part of it.
        """
        counts = [as_buffer(send).size] * self.size
        rows = parts(as_buffer(out, write=True), counts, send.dtype)
        apart("Allgather", send, out, rows[self.rank])
        rows[self.rank][...] = send.reshape(-1)
        into = [codec.flat(row) for row in rows]
        call = self._collective(Operation.ALLGATHER, like=send)
        self._run("Allgather", lambda: allgather_into(self._channel, call, into))

    def Alltoall(self, send: Array, out: Array) -> None:  # noqa: N802
        """Hand row r of `send` to rank r; row r of `out` is what rank r handed to this one.

        Both are alike, and may be one.
        """
        alike("Alltoall", as_buffer(send), as_buffer(out, write=True))
        given = send.copy() if np.may_share_memory(send, out) else send
        counts = [send.size // self.size] * self.size
        rows, into = parts(given, counts, send.dtype), parts(out, counts, send.dtype)
        into[self.rank][...] = rows[self.rank]
        ours, theirs = [codec.flat(row) for row in rows], [codec.flat(row) for row in into]
        call = self._collective(Operation.ALLTOALL, like=send)
        self._run("Alltoall", lambda: alltoall_into(self._channel, call, ours, theirs))

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
            send: alike on all ranks.
            out: counts[rank] elements; it may be this rank's part of `send`, and no other.
            counts: elements of each rank's part, the same on all ranks; equal parts if None.
            op: as in `allreduce`.
            deterministic: as in `allreduce`.
        """
        reduction, size = named(op), self.size
        array = working_copy(as_buffer(send), reduction).reshape(-1)
        given = counts_of([send.size // size] * size if counts is None else counts, size)
        mine = parts(send, given, send.dtype)[self.rank]
        reduced_alike("Reduce_scatter", mine, as_buffer(out, write=True).reshape(-1), reduction)
        apart("Reduce_scatter", out, send, mine)
        code = frames.counts_code(given)
        call = self._reduction(Operation.REDUCE_SCATTER, array, reduction, code)
        ordered = deterministic or reduction.ordered
        found = self._run(
            "Reduce_scatter",
            lambda: reduce_scatter(self._channel, call, array, reduction, given, ordered=ordered),
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
        root = self._checked("root", root)
        mine, rows = codec.flat(as_buffer(send)), list[Array]()
        if self.rank == root:
            whole = as_buffer(at_root("out", out), write=True)
            rows = self._rows(whole, counts, send)
            apart(name, send, whole, rows[root])
        call = self._collective(Operation.GATHER, root=root, like=send, ragged=ragged)
        into = [codec.flat(row) for row in rows]
        self._run(name, lambda: gather_into(self._channel, call, root, mine, into))
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
        root = self._checked("root", root)
        into = codec.flat(as_buffer(out, write=True))
        rows: list[Array] = []
        if self.rank == root:
            whole = as_buffer(at_root("send", send))
            rows = self._rows(whole, counts, out)
            apart(name, out, whole, rows[root])
        blobs: list[list[codec.Buffer]] = [[codec.flat(row)] for row in rows]
        call = self._collective(Operation.SCATTER, root=root, like=out, ragged=ragged)
        self._run(name, lambda: scatter(self._channel, call, root, blobs, into))
        if rows:
            out.reshape(-1)[...] = rows[root]

    def _rows(self, array: Array, counts: Sequence[int] | None, own: Array) -> list[Array]:
        """Return the parts of the root's array, of which its own is as large as `own`."""
        rows = parts(array, counts_of(counts, self.size), own.dtype)
        if rows[self.rank].size != own.size:
            raise ValueError(
                f"{own.size} elements of this rank don't fit its count, {rows[self.rank].size}"
            )
        return rows
