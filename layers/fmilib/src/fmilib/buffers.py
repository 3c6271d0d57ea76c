"""The buffer interface: upper-case calls on C-contiguous numpy arrays, filled in place."""

from __future__ import annotations

import numpy as np

from fmilib import codec
from fmilib.collectives.bcast import bcast
from fmilib.core import Array, Core
from fmilib.frames import Operation
from fmilib.ops import Combine, Op, named


class BufferCalls(Core):
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
        _flat(out, write=True)
        if send.dtype != out.dtype or send.shape != out.shape:
            raise ValueError(f"{send.dtype}{send.shape} doesn't fit {out.dtype}{out.shape}")
        reduction = named(op)
        self._prove(reduction, out.dtype)
        if send is not out:
            out[...] = send
        self._allreduce("Allreduce", out, reduction, deterministic=deterministic)


def _flat(array: Array, *, write: bool = False) -> memoryview:
    """Return the bytes of a user's buffer.

    Raises:
        TypeError: it is no array, or has Python objects in it.
        ValueError: it isn't C-contiguous, or must be written and can't be.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a buffer is a numpy array, got {type(array).__name__}")
    codec.dtype_text(array.dtype)
    if not array.flags.c_contiguous or (write and not array.flags.writeable):
        raise ValueError("a buffer must be C-contiguous" + (" and writable" if write else ""))
    return codec.flat(array)
