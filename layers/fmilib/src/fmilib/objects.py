"""The object interface: lower-case calls on arrays, numbers and plain objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmilib import codec
from fmilib.collectives.barrier import barrier
from fmilib.collectives.bcast import bcast_blob
from fmilib.collectives.gather import gather
from fmilib.core import Array, Core
from fmilib.frames import Operation
from fmilib.ops import Combine, Op, named

_COUNTING = ("sum", "prod")


class ObjectCalls(Core):
    """Calls on anything that `fmilib.codec` knows."""

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
