"""Ranks that send to each other at once, more than a socket's buffers hold."""

from __future__ import annotations

from typing import Any

import numpy as np

import fmilib

Array = np.ndarray[Any, Any]
KIB = 1024
SIZES = (32 * KIB + 1, 300 * KIB, 3 << 20)  # bytes: above what goes at once; one frame; several


def filled(rank: int, nbytes: int) -> Array:
    """Return bytes by which a rank and a length can be told."""
    return (np.arange(nbytes) * (2 * rank + 3) + nbytes).astype(np.uint8)


def ring(comm: fmilib.Communicator) -> None:
    """Send to the right while the left's message is received, of each length; then to the left."""
    for turn in (1, -1):
        to, source = (comm.rank + turn) % comm.size, (comm.rank - turn) % comm.size
        for nbytes in SIZES:
            out = np.zeros(nbytes, np.uint8)
            comm.Sendrecv(filled(comm.rank, nbytes), to, out, source)
            assert np.array_equal(out, filled(source, nbytes))
            found = comm.sendrecv(filled(comm.rank, nbytes), to, source)
            assert np.array_equal(found, filled(source, nbytes))


def uneven(comm: fmilib.Communicator) -> None:
    """Swap with one peer, one side sending much and the other little or nothing, then turned."""
    peer = comm.rank ^ 1
    if peer >= comm.size:
        return
    for lengths in ((3 << 20, 0), (3 << 20, 10), (300 * KIB, 33 * KIB), (33 * KIB, 3 << 20)):
        mine, theirs = lengths[comm.rank & 1], lengths[peer & 1]
        out = np.zeros(theirs, np.uint8)
        comm.Sendrecv(filled(comm.rank, mine), peer, out, peer, sendtag=7, recvtag=7)
        assert np.array_equal(out, filled(peer, theirs))
        found = comm.sendrecv(filled(comm.rank, mine), peer, peer)
        assert np.array_equal(found, filled(peer, theirs))


def itself(comm: fmilib.Communicator) -> None:
    """Swap with oneself."""
    for nbytes in SIZES:
        out = np.zeros(nbytes, np.uint8)
        comm.Sendrecv(filled(comm.rank, nbytes), comm.rank, out, comm.rank)
        assert np.array_equal(out, filled(comm.rank, nbytes))


def all_swaps(comm: fmilib.Communicator) -> int:
    """Do all of these, the messages of one following those of another; return a sum."""
    ring(comm)
    uneven(comm)
    itself(comm)
    ring(comm)
    total: int = comm.allreduce(1)
    return total
