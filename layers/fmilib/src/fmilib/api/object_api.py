"""The object interface: lower-case collectives on arrays, numbers and plain objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from fmilib.api.engine import Array
from fmilib.api.operands import one_a_rank, reducible
from fmilib.api.partial_gather import Gathered, ReportCalls
from fmilib.collectives.barrier import barrier
from fmilib.collectives.bcast import bcast_blob
from fmilib.collectives.exchange import allgather, alltoall
from fmilib.collectives.gather import gather
from fmilib.collectives.reduce import reduce_scatter
from fmilib.collectives.scatter import scatter
from fmilib.wire import codec, frames
from fmilib.wire.frames import Operation
from fmilib.wire.reductions import Combine, Op, named


class ObjectCalls(ReportCalls):
    """Collectives on anything that `fmilib.wire.codec` knows."""

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
            value: at the root, anything that `fmilib.wire.codec` knows; ignored elsewhere.
            root: the rank that has it.

        Returns:
            The very `value` at the root; elsewhere a copy, arrays being writable.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        root = self._checked("root", root)
        parts = codec.encode(value) if self.rank == root else None
        call = self._collective(Operation.BCAST, root=root)
        blob = self._run("bcast", lambda: bcast_blob(self._channel, call, root, parts))
        return value if blob is None else codec.decode(blob)

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

        With missing="report" on all ranks, a rank that is lost before or inside it doesn't fail
        the others: each sends straight to the root, which gets every value that came. If a rank
        was lost, later calls raise PeerFailed; only another such gather and `close` don't.

        Args:
            value: anything that `fmilib.wire.codec` knows.
            root: the rank that gets them.
            missing: "raise" if a rank is lost, or "report" it.
            deadline: with "report", seconds from now for which the root waits; the job's
                time-out if None. A rank that comes later counts as missing and goes on.

        Returns:
            At the root a list in rank order, its own item being the very `value`, other
            arrays views of received buffers; with "report" a `Gathered`. None elsewhere.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        root = self._checked("root", root)
        if missing == "report":
            return self._gather_report(value, root, deadline)
        if missing != "raise" or deadline is not None:
            raise ValueError(f"missing={missing!r}, deadline={deadline}: a deadline needs 'report'")
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
        reduction = named(op)
        array = reducible(value, reduction)
        self._allreduce("allreduce", array, reduction, deterministic=deterministic)
        return _like(value, array)

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
        root = self._checked("root", root)
        reduction = named(op)
        array = reducible(value, reduction)
        self._reduce("reduce", array, reduction, root, deterministic=deterministic)
        return _like(value, array) if self.rank == root else None

    def scan(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce over the ranks up to this one: x0 ∘ … ∘ x_rank.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        reduction = named(op)
        array = reducible(value, reduction)
        self._scan("scan", Operation.SCAN, array, reduction, deterministic=deterministic)
        return _like(value, array)

    def exscan(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce over the ranks before this one; None at rank 0.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        reduction = named(op)
        array = reducible(value, reduction)
        before = self._scan(
            "exscan", Operation.EXSCAN, array, reduction, deterministic=deterministic
        )
        return None if before is None else _like(value, before)

    def reduce_scatter(
        self, values: Sequence[Any], op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """Reduce one item a rank over all ranks, and return this rank's.

        Args:
            values: as many arrays or numbers as there are ranks, all alike; or an array with
                that many rows.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        values, reduction = one_a_rank(values, self.size), named(op)
        array = reducible(values, reduction)
        counts = [array.size // self.size] * self.size
        call = self._reduction(
            Operation.REDUCE_SCATTER, array, reduction, frames.counts_code(counts)
        )
        ordered = deterministic or reduction.ordered
        mine = self._run(
            "reduce_scatter",
            lambda: reduce_scatter(
                self._channel, call, array.reshape(-1), reduction, counts, ordered=ordered
            ),
        )
        return _like(values[self.rank], mine.reshape(array.shape[1:]).copy())

    def scatter(self, values: Sequence[Any] | None = None, root: int = 0) -> Any:
        """Return the root's item for this rank; shapes and types may differ.

        Args:
            values: at the root one array or object a rank, or an array with that many rows;
                ignored elsewhere.
            root: the rank that has them.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        root = self._checked("root", root)
        blobs, items = None, list[Any]()
        if self.rank == root:
            items = list(one_a_rank(values, self.size))
            blobs = [codec.encode(value) for value in items]
        call = self._collective(Operation.SCATTER, root=root)
        blob = self._run("scatter", lambda: scatter(self._channel, call, root, blobs))
        return codec.decode(blob) if blob is not None else items[root]

    def allgather(self, value: Any) -> list[Any]:
        """Return every rank's array or object, in rank order; shapes and types may differ.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        parts = codec.encode(value)
        call = self._collective(Operation.ALLGATHER)
        found = self._run("allgather", lambda: allgather(self._channel, call, parts))
        return [
            value if rank == self.rank else codec.decode(found[rank]) for rank in range(self.size)
        ]

    def alltoall(self, values: Sequence[Any]) -> list[Any]:
        """Hand item r to rank r; return what each rank handed to this one, in rank order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        values = one_a_rank(values, self.size)
        blobs = [codec.encode(value) for value in values]
        call = self._collective(Operation.ALLTOALL)
        found = self._run("alltoall", lambda: alltoall(self._channel, call, blobs))
        return [
            values[rank] if rank == self.rank else codec.decode(found[rank])
            for rank in range(self.size)
        ]

    gatherv, scatterv = gather, scatter


def _like(value: Any, array: Array) -> Any:
    """Return a result as the kind that `value` is: an array, numpy's scalar, or Python's."""
    if isinstance(value, np.ndarray | list):
        return array
    return array[()] if isinstance(value, np.generic) or array.ndim else array.item()
