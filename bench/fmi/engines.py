"""The three libraries behind one small face; each is imported only where it is measured."""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Engine(Protocol):
    """What a case needs of a library, as far as it has it; allreduce works in place."""

    def barrier(self, _: Array) -> None: ...

    def allreduce(self, array: Array) -> None: ...

    def bcast(self, array: Array) -> None: ...

    def gather(self, array: Array) -> None: ...

    def close(self) -> None: ...


def _room(kept: dict[int, Array], array: Array, comm: Any) -> Array | None:
    """Return the root's room for what it gathers, made on first use; None elsewhere."""
    if comm.rank != 0:
        return None
    if array.nbytes not in kept:
        kept[array.nbytes] = np.empty((comm.size, len(array)), array.dtype)
    return kept[array.nbytes]


class Fmilib:
    """This library, as `FMI_*` variables say."""

    def __init__(self, rank: int, size: int) -> None:
        import fmilib

        self._comm = fmilib.connect(rank, size)
        self._out: dict[int, Array] = {}

    def barrier(self, _: Array) -> None:
        self._comm.barrier()

    def allreduce(self, array: Array) -> None:
        self._comm.Allreduce(array, array)

    def bcast(self, array: Array) -> None:
        self._comm.Bcast(array, 0)

    def gather(self, array: Array) -> None:
        self._comm.Gather(array, _room(self._out, array, self._comm), 0)

    def allgather(self, array: Array) -> None:
        self._comm.Allgather(array, np.empty((self._comm.size, len(array)), array.dtype))

    def alltoall(self, array: Array) -> None:
        shared = array[: len(array) // self._comm.size * self._comm.size]
        rows = shared.reshape(self._comm.size, -1)
        self._comm.Alltoall(rows, np.empty_like(rows))

    def reduce_scatter(self, array: Array) -> None:
        size = self._comm.size
        self._comm.Reduce_scatter(array, np.empty(len(array) // size, array.dtype))

    def scan(self, array: Array) -> None:
        self._comm.Scan(array, np.empty_like(array))

    def close(self) -> None:
        self._comm.close()


class OpenMpi:
    """mpi4py; started by mpiexec."""

    def __init__(self, rank: int, size: int) -> None:
        from mpi4py import MPI  # type: ignore[import-not-found,unused-ignore]

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD
        self._out: dict[int, Array] = {}

    def barrier(self, _: Array) -> None:
        self._comm.Barrier()

    def allreduce(self, array: Array) -> None:
        self._comm.Allreduce(self._mpi.IN_PLACE, array)

    def bcast(self, array: Array) -> None:
        self._comm.Bcast(array, 0)

    def gather(self, array: Array) -> None:
        self._comm.Gather(array, _room(self._out, array, self._comm))

    def allgather(self, array: Array) -> None:
        self._comm.Allgather(array, np.empty(self._comm.size * len(array), array.dtype))

    def alltoall(self, array: Array) -> None:
        shared = array[: len(array) // self._comm.size * self._comm.size]
        self._comm.Alltoall(shared, np.empty_like(shared))

    def reduce_scatter(self, array: Array) -> None:
        part = np.empty(len(array) // self._comm.size, array.dtype)
        self._comm.Reduce_scatter_block(array, part)

    def scan(self, array: Array) -> None:
        self._comm.Scan(array, np.empty_like(array))

    def close(self) -> None:
        self._comm.Barrier()


class Gloo:
    """torch.distributed over gloo."""

    def __init__(self, rank: int, size: int) -> None:
        import torch
        import torch.distributed as dist

        torch.set_num_threads(1)
        self._torch, self._dist = torch, dist
        self._rank, self._size = rank, size
        dist.init_process_group(
            "gloo", init_method=f"tcp://{os.environ['BENCH_GLOO']}", rank=rank, world_size=size
        )
        self._out: dict[int, list[Any]] = {}

    def barrier(self, _: Array) -> None:
        self._dist.barrier()

    def allreduce(self, array: Array) -> None:
        self._dist.all_reduce(self._torch.from_numpy(array))

    def bcast(self, array: Array) -> None:
        self._dist.broadcast(self._torch.from_numpy(array), 0)

    def gather(self, array: Array) -> None:
        tensor = self._torch.from_numpy(array)
        self._dist.gather(tensor, self._room(tensor) if self._rank == 0 else None, 0)

    def close(self) -> None:
        self._dist.barrier()
        self._dist.destroy_process_group()

    def _room(self, tensor: Any) -> list[Any]:
        if tensor.nbytes not in self._out:
            self._out[tensor.nbytes] = [tensor.clone() for _ in range(self._size)]
        return self._out[tensor.nbytes]


ENGINES: dict[str, type[Fmilib] | type[OpenMpi] | type[Gloo]] = {
    "fmilib": Fmilib,
    "Open MPI": OpenMpi,
    "gloo": Gloo,
}
