"""The object interface: lower-case collectives on arrays, numbers and plain objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fmilib.api.engine import Array, Engine
from fmilib.api.operands import one_a_rank, reducible
from fmilib.api.partial_gather import Gathered, PartialGather
from fmilib.collectives.barrier import barrier
from fmilib.collectives.bcast import bcast_blob
from fmilib.collectives.exchange import allgather, alltoall
from fmilib.collectives.gather import gather
from fmilib.collectives.reduce import reduce_scatter
from fmilib.collectives.scatter import scatter
from fmilib.wire import codec, frames
from fmilib.wire.frames import Operation
from fmilib.wire.reductions import Combine, Op, named

_ARRAYS = (np.ndarray, list)  # a union of them would be made anew in every call


class ObjectCollectives:
    """Collectives on anything that `fmilib.wire.codec` knows.

    Args:
        engine: Runs each call.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._partial = PartialGather(engine)

    def barrier(self) -> None:
        """See `Communicator.barrier`."""
        engine = self._engine
        call = engine.collective(Operation.BARRIER)
        engine.run("barrier", lambda: barrier(engine.channel, call))

    def bcast(self, value: Any = None, root: int = 0) -> Any:
        """See `Communicator.bcast`."""
        root = self._engine.checked_rank("root", root)
        parts = codec.encode(value) if self._engine.rank == root else None
        call = self._engine.collective(Operation.BCAST, root=root)
        blob = self._engine.run(
            "bcast", lambda: bcast_blob(self._engine.channel, call, root, parts)
        )
        return value if blob is None else codec.decode(blob)

    def gather(
        self,
        value: Any,
        root: int = 0,
        *,
        missing: Literal["raise", "report"] = "raise",
        deadline: float | None = None,
    ) -> list[Any] | Gathered | None:
        """See `Communicator.gather`."""
        root = self._engine.checked_rank("root", root)
        if missing == "report":
            return self._partial.gather(value, root, deadline)
        if missing != "raise" or deadline is not None:
            raise ValueError(f"missing={missing!r}, deadline={deadline}: a deadline needs 'report'")
        parts = codec.encode(value)
        call = self._engine.collective(Operation.GATHER, root=root)
        blobs = self._engine.run("gather", lambda: gather(self._engine.channel, call, root, parts))
        if blobs is None:
            return None
        return [value if rank == root else codec.decode(blob) for rank, blob in enumerate(blobs)]

    def allreduce(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """See `Communicator.allreduce`."""
        reduction = named(op)
        array = reducible(value, reduction)
        self._engine.allreduce("allreduce", array, reduction, deterministic=deterministic)
        return _like(value, array)

    def reduce(
        self,
        value: Any,
        op: str | Op | Combine = "sum",
        root: int = 0,
        *,
        deterministic: bool = False,
    ) -> Any:
        """See `Communicator.reduce`."""
        root = self._engine.checked_rank("root", root)
        reduction = named(op)
        array = reducible(value, reduction)
        self._engine.reduce("reduce", array, reduction, root, deterministic=deterministic)
        return _like(value, array) if self._engine.rank == root else None

    def scan(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """See `Communicator.scan`."""
        reduction = named(op)
        array = reducible(value, reduction)
        self._engine.scan("scan", Operation.SCAN, array, reduction, deterministic=deterministic)
        return _like(value, array)

    def exscan(
        self, value: Any, op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """See `Communicator.exscan`."""
        reduction = named(op)
        array = reducible(value, reduction)
        before = self._engine.scan(
            "exscan", Operation.EXSCAN, array, reduction, deterministic=deterministic
        )
        return None if before is None else _like(value, before)

    def reduce_scatter(
        self, values: Sequence[Any], op: str | Op | Combine = "sum", *, deterministic: bool = False
    ) -> Any:
        """See `Communicator.reduce_scatter`."""
        values, reduction = one_a_rank(values, self._engine.size), named(op)
        array = reducible(values, reduction)
        counts = [array.size // self._engine.size] * self._engine.size
        call = self._engine.reduction(
            Operation.REDUCE_SCATTER, array, reduction, frames.counts_code(counts)
        )
        ordered = deterministic or reduction.ordered
        mine = self._engine.run(
            "reduce_scatter",
            lambda: reduce_scatter(
                self._engine.channel, call, array.reshape(-1), reduction, counts, ordered=ordered
            ),
        )
        return _like(values[self._engine.rank], mine.reshape(array.shape[1:]).copy())

    def scatter(self, values: Sequence[Any] | None = None, root: int = 0) -> Any:
        """See `Communicator.scatter`."""
        root = self._engine.checked_rank("root", root)
        blobs, items = None, list[Any]()
        if self._engine.rank == root:
            items = list(one_a_rank(values, self._engine.size))
            blobs = [codec.encode(value) for value in items]
        call = self._engine.collective(Operation.SCATTER, root=root)
        blob = self._engine.run("scatter", lambda: scatter(self._engine.channel, call, root, blobs))
        return codec.decode(blob) if blob is not None else items[root]

    def allgather(self, value: Any) -> list[Any]:
        """See `Communicator.allgather`."""
        parts = codec.encode(value)
        call = self._engine.collective(Operation.ALLGATHER)
        found = self._engine.run("allgather", lambda: allgather(self._engine.channel, call, parts))
        return [
            value if rank == self._engine.rank else codec.decode(found[rank])
            for rank in range(self._engine.size)
        ]

    def alltoall(self, values: Sequence[Any]) -> list[Any]:
        """See `Communicator.alltoall`."""
        values = one_a_rank(values, self._engine.size)
        blobs = [codec.encode(value) for value in values]
        call = self._engine.collective(Operation.ALLTOALL)
        found = self._engine.run("alltoall", lambda: alltoall(self._engine.channel, call, blobs))
        return [
            values[rank] if rank == self._engine.rank else codec.decode(found[rank])
            for rank in range(self._engine.size)
        ]


def _like(value: Any, array: Array) -> Any:
    """Return a result as the kind that `value` is: an array, numpy's scalar, or Python's."""
    if isinstance(value, _ARRAYS):
        return array
    return array[()] if isinstance(value, np.generic) or array.ndim else array.item()
