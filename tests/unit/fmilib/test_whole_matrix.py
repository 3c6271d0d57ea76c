"""The whole matrix, sizes × counts × dtypes × roots, of every collective in closed form.

For each size of 1 … 9, 13, 16, 24 and 32, and each count of 0, 1, 64, 100, 1000 and 10,000
elements that a rank hands in or gets (for alltoall and reduce_scatter rounded up to equal
shares):

- at every root, for each of 16 plain dtypes (all sizes of whole, real and complex numbers, and
  booleans): Bcast, Gather, Gatherv, Scatter, Scatterv, Reduce and reduce;
- at every root bcast, gather and scatter of objects: a list with an array of each dtype
  (gatherv and scatterv of objects are gather and scatter by another name);
- for each dtype, those 16 and big-endian numbers, times, texts and records, all of that at one
  root, objects as one array, and Barrier, Allgather and Alltoall of buffers and of objects; if
  it adds up Allreduce, Reduce_scatter (equal and unequal parts), Scan and Exscan too, of both,
  with and without `deterministic`, and Reduce with it.

The reduction is the sum, and minloc for one allreduce; `test_every_collective_properties.py` has
others. `make test` leaves the larger cells to `make test-long`. The ranks are greenlets that hand
messages over in memory (`fmilib_support.hall`); `test_every_collective.py` does less of it between
processes and over sockets.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fmilib_support.forms import COUNTS, DTYPES, Forms
from fmilib_support.hall import together
from fmilib_support.matrix import Comm, buffers_at, objects_at, once

SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 24, 32]
ALL = [(size, count) for size in SIZES for count in COUNTS]
SOON = [(size, count) for size, count in ALL if size < 6 or (size < 16 and count in (1, 64, 1000))]
LATER = [pytest.param(*cell, marks=pytest.mark.long) for cell in ALL if cell not in SOON]


@pytest.mark.parametrize(("size", "count"), [*SOON, *LATER])
def test_closed_forms_of_every_dtype_at_every_root(size: int, count: int) -> None:
    for place, dtype in enumerate(DTYPES):
        together(size, _alone(Forms(size, count, dtype), place % size))
    group = [Forms(size, count, dtype) for dtype in DTYPES]

    def mixed(comm: Comm) -> None:
        for root in range(comm.size):
            objects_at(comm, group, root)

    together(size, mixed)


def _alone(forms: Forms, first: int) -> Callable[[Comm], None]:
    def body(comm: Comm) -> None:
        once(comm, forms, first)
        for root in range(comm.size):
            if root != first and forms.plain:
                buffers_at(comm, forms, root)

    return body


def test_gatherv_and_scatterv_of_objects_are_gather_and_scatter() -> None:
    assert Comm.gatherv is Comm.gather
    assert Comm.scatterv is Comm.scatter
