"""The three libraries behind one small face; each is imported only where it is measured."""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Engine(Protocol):
    """What a case needs of a library; allreduce works in place."""

    def barrier(self, _: Array) -> None: ...

    def allreduce(self, array: Array) -> None: ...

    def bcast(self, array: Array) -> None: ...

    def gather(self, array: Array) -> None: ...

    def close(self) -> None: ...


class Fmilib:
    """This library, as `FMI_*` variables say."""

    def __init__(self, rank: int, size: int) -> None:
        import fmilib

        self._comm = fmilib.connect(rank, size)

    def barrier(self, _: Array) -> None:
        self._comm.barrier()

    def allreduce(self, array: Array) -> None:
        self._comm.Allreduce(array, array)

    def bcast(self, array: Array) -> None:
        self._comm.Bcast(array, 0)

    def gather(self, array: Array) -> None:
        self._comm.gather(array, 0)

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
        at_root = self._comm.rank == 0
        self._comm.Gather(array, self._room(array) if at_root else None)

    def close(self) -> None:
        self._comm.Barrier()

    def _room(self, array: Array) -> Array:
        room = self._out.get(array.nbytes)
        if room is None:
            room = self._out[array.nbytes] = np.empty(self._comm.size * len(array), array.dtype)
        return room


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
