"""The buffer interface: upper-case calls on C-contiguous numpy arrays, filled in place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fmilib.api.engine import Array, Engine
from fmilib.collectives.barrier import barrier
from fmilib.collectives.bcast import bcast
from fmilib.collectives.exchange import allgather_into, alltoall_into
from fmilib.collectives.gather import gather_into
from fmilib.collectives.reduce import reduce_scatter
from fmilib.collectives.scatter import scatter
from fmilib.wire import codec
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
        reduction = named(op)
        _check(out, write=True)
        if send is not out:
            _check_alike(send, out)
            self._prove(reduction, out.dtype)
            out[...] = send
        self._allreduce("Allreduce", out, reduction, deterministic=deterministic)

    def Sendrecv(  # noqa: N802
        self, send: Array, dest: int, out: Array, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> None:
        """Send one array and fill another, side by side.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        outgoing = self._message(dest, sendtag, send)
        incoming = self._message(source, recvtag, out)
        parts: list[codec.Buffer] = [_flat(send)]
        into = _flat(out, write=True)
        self._run("Sendrecv", lambda: self._swap(dest, outgoing, parts, source, incoming, into))

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
        self._check_rank("root", root)
        _flat(send)
        reduction, array = named(op), send.copy()
        if self.rank == root:
            _check_alike(send, _given(out))
        self._reduce("Reduce", array, reduction, root, deterministic=deterministic)
        if self.rank == root:
            _given(out)[...] = array

    def Scan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce over the ranks up to this one into `out`, which is like `send`."""
        _flat(send)
        _check_alike(send, out)
        array = send.copy()
        self._scan("Scan", Operation.SCAN, array, named(op), deterministic=deterministic)
        out[...] = array

    def Exscan(  # noqa: N802
        self,
        send: Array,
        out: Array,
        op: str | Op | Combine = "sum",
        *,
        deterministic: bool = False,
    ) -> None:
        """Reduce over the ranks before this one into `out`, left alone at rank 0."""
        _flat(send)
        _check_alike(send, out)
        found = self._scan(
            "Exscan", Operation.EXSCAN, send.copy(), named(op), deterministic=deterministic
        )
        if found is not None:
            out[...] = found

    def Gather(self, send: Array, out: Array | None = None, root: int = 0) -> None:  # noqa: N802
        """Bring every rank's array to the root: row r of `out` is rank r's.

        Args:
            send: alike on all ranks.
            out: at the root, (size, *send.shape) of the same dtype; ignored elsewhere.
            root: the rank that gathers.
        """
        counts = [send.size] * self.size
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
            out: alike on all ranks.
            root: the rank that scatters.
        """
        self._scatter("Scatter", send, [out.size] * self.size, out, root, ragged=False)

    def Scatterv(  # noqa: N802
        self, send: Array | None, counts: Sequence[int] | None, out: Array, root: int = 0
    ) -> None:
        """Do the same for different sizes: `counts` elements of `send` to each rank."""
        self._scatter("Scatterv", send, counts, out, root, ragged=True)

    def Allgather(self, send: Array, out: Array) -> None:  # noqa: N802
        """Bring every rank's array to every rank: row r of `out` is rank r's."""
        _flat(send)
        rows = _parts(out, [send.size] * self.size, send.dtype, write=True)
        rows[self.rank][...] = send.reshape(-1)
        into = [codec.flat(row) for row in rows]
        call = self._collective(Operation.ALLGATHER, like=send)
        self._run("Allgather", lambda: allgather_into(self._channel, call, into))

    def Alltoall(self, send: Array, out: Array) -> None:  # noqa: N802
        """Hand row r of `send` to rank r; row r of `out` is what rank r handed to this one."""
        _flat(send)
        _check_alike(send, out)
        given = send.copy() if np.may_share_memory(send, out) else send
        counts = [send.size // self.size] * self.size
        rows, into = _parts(given, counts, send.dtype), _parts(out, counts, send.dtype)
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
            out: counts[rank] elements.
            counts: elements of each rank's part, the same on all ranks; equal parts if None.
            op: as in `allreduce`.
            deterministic: as in `allreduce`.
        """
        _flat(send)
        given = [send.size // self.size] * self.size if counts is None else list(counts)
        _parts(send, given, send.dtype)
        _parts(out, [given[self.rank]], send.dtype)
        _flat(out, write=True)
        array, reduction = send.reshape(-1).copy(), named(op)
        call = self._reduction(Operation.REDUCE_SCATTER, array, reduction)
        ordered = deterministic or reduction.ordered
        mine = self._run(
            "Reduce_scatter",
            lambda: reduce_scatter(self._channel, call, array, reduction, given, ordered=ordered),
        )
        out.reshape(-1)[...] = mine

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
        self._check_rank("root", root)
        mine, rows = _flat(send), list[Array]()
        if self.rank == root:
            rows = _parts(_given(out), counts, send.dtype, write=True)
            if len(rows) != self.size or rows[root].size != send.size:
                raise ValueError("counts don't fit the ranks, or this rank's own array")
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
        self._check_rank("root", root)
        into = _flat(out, write=True)
        rows: list[Array] = []
        if self.rank == root:
            rows = _parts(_given(send), counts, out.dtype)
            if len(rows) != self.size or rows[root].size != out.size:
                raise ValueError("counts don't fit the ranks, or this rank's own array")
        blobs: list[list[codec.Buffer]] = [[codec.flat(row)] for row in rows]
        call = self._collective(Operation.SCATTER, root=root, like=out, ragged=ragged)
        self._run(name, lambda: scatter(self._channel, call, root, blobs, into))
        if rows:
            out.reshape(-1)[...] = rows[root]


def _flat(array: Array, *, write: bool = False) -> memoryview:
    """Return the bytes of a user's buffer.

    Raises:
        TypeError: it is no array, or has Python objects in it.
        ValueError: it isn't C-contiguous, or must be written and can't be.
    """
    _check(array, write=write)
    return codec.flat(array)


def _check(array: Array, *, write: bool) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a buffer is a numpy array, got {type(array).__name__}")
    codec.dtype_code(array.dtype)
    flags = array.flags
    if not flags.c_contiguous or (write and not flags.writeable):
        raise ValueError("a buffer must be C-contiguous" + (" and writable" if write else ""))


def _given(array: Array | None) -> Array:
    if array is None:
        raise ValueError("the root needs an array here")
    return array


def _check_alike(send: Array, out: Array) -> None:
    _flat(out, write=True)
    if send.dtype != out.dtype or send.shape != out.shape:
        raise ValueError(f"{send.dtype}{send.shape} doesn't fit {out.dtype}{out.shape}")


def _parts(
    array: Array, counts: Sequence[int] | None, dtype: np.dtype[Any], *, write: bool = False
) -> list[Array]:
    """Return views of an array's parts, one after another.

    Raises:
        ValueError: they aren't the whole of it, or it has another dtype.
    """
    _flat(array, write=write)
    if array.dtype != dtype or array.size != sum(counts or ()) or min(counts or (0,)) < 0:
        raise ValueError(f"{array.size} of {array.dtype} don't fit {counts} of {dtype}")
    edges = [sum((counts or ())[:part]) for part in range(len(counts or ()) + 1)]
    flat = array.reshape(-1)
    return [flat[start:stop] for start, stop in itertools.pairwise(edges)]
