"""The published communicator: numbers and flat lists of announced types."""

from __future__ import annotations

from typing import Any

import numpy as np

import fmilib
from fmi import settings
from fmi.kinds import Misuse, func, hints, types


class Communicator:
    """One peer of a job.

    Args:
        peer_id: this peer, 0 ≤ peer_id < num_peers.
        num_peers: peers of the job.
        config_path: of an `fmi.json`.
        comm_name: the job's name.
        faas_memory: MiB of the function, for what it costs.
    """

    def __init__(
        self,
        peer_id: int,
        num_peers: int,
        config_path: str,
        comm_name: str,
        faas_memory: int = 128,
    ) -> None:
        given = settings.read(config_path)
        self._comm = fmilib.connect(
            peer_id, num_peers, comm_name, memory_mb=faas_memory, wait=False, **given
        )
        self._size, self._rank = num_peers, peer_id

    def hint(self, hint: hints) -> None:
        """Say what a channel is chosen for; with one enabled backend there is no choice."""
        if not isinstance(hint, hints):
            raise TypeError(f"a hint is one of fmi.hints, got {hint!r}")

    def barrier(self) -> None:
        """Return once every peer has called it."""
        self._comm.barrier()

    def send(self, value: Any, dst: int, kind: types) -> None:
        """Send a number or a list to one peer."""
        self._comm.Send(kind.array(value, any_length=True), dst)

    def recv(self, src: int, kind: types) -> Any:
        """Return the next number or list from a peer."""
        array = np.empty(kind.count, kind.dtype)
        self._comm.Recv(array, src)
        return kind.value(array)

    def bcast(self, value: Any, root: int, kind: types) -> Any:
        """Return the root's number or list."""
        mine = self._rank == root
        array = kind.array(value, any_length=True) if mine else np.empty(kind.count, kind.dtype)
        self._comm.Bcast(array, root)
        return kind.value(array)

    def gather(self, value: Any, root: int, kind: types) -> list[Any]:
        """Return all peers' elements in one flat list at the root, [] elsewhere."""
        mine = self._rank == root
        array = kind.array(value)
        out = np.empty(array.size * self._size, kind.dtype) if mine else None
        self._comm.Gather(array, out, root)
        return [] if out is None else out.tolist()

    def scatter(self, value: Any, root: int, kind: types) -> list[Any]:
        """Return this peer's share of the root's list, whose whole length is announced.

        Raises:
            Misuse: it is no list, or can't be shared equally.
        """
        if not kind.is_list or kind.count % self._size:
            raise Misuse(f"{self._size} peers can't share {kind.count} elements equally")
        send = kind.array(value) if self._rank == root else None
        out = np.empty(kind.count // self._size, kind.dtype)
        self._comm.Scatter(send, out, root)
        found: list[Any] = out.tolist()
        return found

    def reduce(self, value: Any, root: int, f: func, kind: types) -> Any:
        """Return the reduction at the root; elsewhere zero, or as many as the list is long."""
        array = kind.array(value)
        out = np.zeros_like(array)
        self._comm.Reduce(array, out if self._rank == root else None, f.op, root)
        return kind.value(out)

    def allreduce(self, value: Any, f: func, kind: types) -> Any:
        """Return the reduction over all peers."""
        array = kind.array(value)
        self._comm.Allreduce(array, array, f.op)
        return kind.value(array)

    def scan(self, value: Any, f: func, kind: types) -> Any:
        """Return the reduction over the peers up to this one."""
        array = kind.array(value)
        self._comm.Scan(array, array, f.op)
        return kind.value(array)

    def close(self) -> None:
        """Leave the job; the end of the program does it, too."""
        self._comm.close()

    def __del__(self) -> None:
        if hasattr(self, "_comm"):
            self._comm.close()
