"""What ranks do in the tests; each function is the whole life of one rank."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fmilib
from fmilib.wire import codec
from fmilib_support.ranks import Place

LARGE = 1 << 20


# -- everything right -------------------------------------------------------------


def closed_forms(place: Place) -> int:
    """Check every collective against its closed form, for all roots and several sizes."""
    with place.connect() as comm:
        for count in place.options["counts"]:
            _check_bcast(comm, count)
            _check_gather(comm, count)
            _check_allreduce(comm, count)
        comm.barrier()
        return comm.stats().links


def _check_bcast(comm: fmilib.Communicator, count: int) -> None:
    for root in range(comm.size):
        expected = np.arange(count) * (root + 1)
        mine = expected if comm.rank == root else None
        assert np.array_equal(comm.bcast(mine, root), expected)
        buffer = expected.copy() if comm.rank == root else np.full_like(expected, -1)
        comm.Bcast(buffer, root)
        assert np.array_equal(buffer, expected)


def _check_gather(comm: fmilib.Communicator, count: int) -> None:
    for root in range(comm.size):
        mine = np.full((count, comm.rank), comm.rank, np.int32)
        found = comm.gather(mine, root)
        if comm.rank != root:
            assert found is None
            continue
        assert found is not None
        assert [array.shape for array in found] == [(count, r) for r in range(comm.size)]
        assert all((array == r).all() for r, array in enumerate(found))


def _check_allreduce(comm: fmilib.Communicator, count: int) -> None:
    size, rank = comm.size, comm.rank
    total = size * (size + 1) // 2
    for dtype in (np.int64, np.float32, np.complex128):
        mine = (np.arange(count) % 7 * (rank + 1)).astype(dtype)
        expected = (np.arange(count) % 7 * total).astype(dtype)
        for deterministic in (False, True):
            found = comm.allreduce(mine, deterministic=deterministic)
            assert found.dtype == dtype
            assert np.array_equal(found, expected)
    mine = np.arange(count) + rank
    assert np.array_equal(comm.allreduce(mine, "max"), np.arange(count) + size - 1)
    assert np.array_equal(comm.allreduce(mine, "min"), np.arange(count))


def pass_around(place: Place) -> Any:
    """Send objects and buffers to every rank, this one included, and check what comes."""
    with place.connect() as comm:
        value = {"from": comm.rank, "array": np.arange(comm.rank * 1000.0), "text": "ß"}
        for other in range(comm.size):
            comm.send(value, other, tag=3)
            comm.Send(np.full(5, comm.rank), other, tag=4)
        buffer = np.empty(5, np.int64)
        for other in reversed(range(comm.size)):
            comm.Recv(buffer, other, tag=4)
            assert (buffer == other).all()
            found = comm.recv(other, tag=3)
            assert found["from"] == other
            assert np.array_equal(found["array"], np.arange(other * 1000.0))
        comm.barrier()
        return comm.stats().links


def same_bits(place: Place) -> bytes:
    """Reduce numbers whose sum depends on the order; return the bits of all results."""
    rng = np.random.default_rng(place.rank)
    with place.connect() as comm:
        found = []
        for count in (3, 5000, 100_001):
            mine = (rng.standard_normal(count) * 10.0 ** rng.integers(-8, 8, count)).astype("f4")
            found.append(comm.allreduce(mine, deterministic=place.options["deterministic"]))
        return b"".join(array.tobytes() for array in found)


def in_order(place: Place) -> Any:
    """Reduce by functions for which the order of ranks matters."""
    with place.connect() as comm:
        minus = comm.allreduce(np.array([float(place.rank + 1)]), lambda a, b: a - b)
        turn = np.array([[1.0, place.rank], [1.0, 1.0]])
        return minus.tolist(), comm.allreduce(turn, np.matmul).tolist()


def serve(place: Place) -> None:
    """Do what the test asks: (method, blob of its arguments), until None.

    Blobs, because pickle forgets the byte order of arrays without elements.
    """
    with place.connect() as comm:
        while (request := place.hear()) is not None:
            method, blob = request
            with np.errstate(all="ignore"):
                answer = getattr(comm, method)(**codec.decode(blob))
            place.tell(b"".join(codec.encode(answer)))


def cross(place: Place) -> dict[str, Any]:
    """Connect, reduce once; say the sum, how links came about, and how long it took."""
    began = time.monotonic()
    with place.connect() as comm:
        total = int(comm.allreduce(np.ones(1000))[-1])
        took_s = time.monotonic() - began
        comm.barrier()
        return {"total": total, "ways": comm.stats().ways, "took_s": took_s}


def timed(place: Place) -> dict[str, float]:
    """Return the median seconds of operations, after one call of each to make the links."""
    small, large = np.ones(8), np.ones(LARGE)
    calls: dict[str, tuple[int, Callable[[fmilib.Communicator], Any]]] = {
        "barrier": (15, lambda comm: comm.barrier()),
        "allreduce": (15, lambda comm: comm.allreduce(small)),
        "allgather": (15, lambda comm: comm.allgather(small)),
        "alltoall": (15, lambda comm: comm.alltoall([small] * comm.size)),
        "large bcast": (3, lambda comm: comm.bcast(large if comm.rank == 0 else None)),
    }
    found = {}
    with place.connect() as comm:
        for name in place.options["operations"]:
            repeats, call = calls[name]
            call(comm)
            comm.barrier()
            spans = [_span(partial(call, comm)) for _ in range(repeats)]
            found[name] = float(np.median(spans))
            comm.barrier()
    return found


def _span(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# -- something goes wrong -----------------------------------------------------------


def _barrier(comm: fmilib.Communicator) -> None:
    comm.barrier()


def _bcast(comm: fmilib.Communicator) -> None:
    expected = np.arange(LARGE)
    assert np.array_equal(comm.bcast(expected if comm.rank == 0 else None), expected)


def _gather(comm: fmilib.Communicator) -> None:
    found = comm.gather(np.full(LARGE // 8, comm.rank, np.float32), root=comm.size - 1)
    assert found is None or [int(array[0]) for array in found] == list(range(comm.size))


def _small(comm: fmilib.Communicator) -> None:
    assert (comm.allreduce(np.ones(8)) == comm.size).all()


def _large(comm: fmilib.Communicator) -> None:
    assert (comm.allreduce(np.ones(LARGE, np.float32)) == comm.size).all()


def _ordered(comm: fmilib.Communicator) -> None:
    assert (comm.allreduce(np.ones(LARGE, np.float32), deterministic=True) == comm.size).all()


OPERATIONS: dict[str, Callable[[fmilib.Communicator], None]] = {
    "barrier": _barrier,
    "bcast": _bcast,
    "gather": _gather,
    "small allreduce": _small,
    "large allreduce": _large,
    "ordered allreduce": _ordered,
}


def again_and_again(place: Place) -> None:
    """Do one operation, checking its value, until something fails; say when it runs."""
    operation = OPERATIONS[place.options["operation"]]
    with place.connect() as comm:
        operation(comm)
        place.tell("running")
        while True:
            operation(comm)


def probe_for_ever(place: Place) -> None:
    """Do one barrier; then look for a message that nobody sends."""
    with place.connect() as comm:
        comm.barrier()
        place.tell("running")
        while comm.iprobe(tag=9) is None:
            pass


def slow_in_the_middle(place: Place) -> int:
    """Rank 1 computes for longer than a lease while the others wait; another leaves first."""
    with place.connect() as comm:
        comm.barrier()
        if comm.rank == 2:
            return comm.size
        if comm.rank == 1:
            time.sleep(place.options["seconds"])
            comm.send(comm.size, 0)
            return comm.size
        return int(comm.recv(1))


def abort_in_the_middle(place: Place) -> None:
    """Do one operation again and again; one rank aborts after a while instead."""
    operation = OPERATIONS[place.options["operation"]]
    with place.connect() as comm:
        for _ in range(place.options["after"]):
            operation(comm)
        if comm.rank == place.options["victim"]:
            comm.abort("enough")
        while True:
            operation(comm)


def wait_then(place: Place) -> None:
    """Connect, wait for the test's word, then do one operation."""
    with place.connect() as comm:
        place.tell("connected")
        place.hear()
        OPERATIONS[place.options["operation"]](comm)


def rounds(place: Place) -> int:
    """Do as many barriers as the test asks for, in two halves with a word between."""
    with place.connect() as comm:
        for _ in range(20):
            comm.barrier()
        place.tell("halfway")
        place.hear()
        for _ in range(20):
            comm.barrier()
        return int(comm.allreduce(1))


def connect_only(place: Place) -> int:
    """Say that it tries, connect, and do one allreduce."""
    place.tell("connecting")
    with place.connect() as comm:
        return int(comm.allreduce(1))


def register_and_wait(place: Place) -> None:
    """Register, don't wait for the others, and wait for the test's word; then form."""
    with place.connect(wait=False) as comm:
        place.tell("registered")
        place.hear()
        comm.form()
        comm.allreduce(1)


def leave_early(place: Place) -> int:
    """Rank 0 leaves after the first collective; the others go on without it."""
    with place.connect() as comm:
        total = int(comm.allreduce(np.ones(1000))[0])
        if comm.rank == 0:
            return total
        ring = list(range(1, comm.size))
        after = ring[comm.rank % len(ring)]
        before = ring[(comm.rank - 2) % len(ring)]
        for _ in range(50):
            comm.send(np.ones(100), after)
            total = int(comm.recv(before).sum()) // 100 * comm.size
        return total


def leave_before_needed(place: Place) -> None:
    """Rank 0 leaves without the barrier that the others are in."""
    with place.connect() as comm:
        comm.barrier()
        if comm.rank != 0:
            comm.barrier()


def give_and_go(place: Place) -> Any:
    """Rank 1 sends much to rank 0 and leaves at once; rank 0 reads after the test's word."""
    with place.connect() as comm:
        if comm.rank == 1:
            comm.send(np.arange(LARGE), 0)
            return None
        place.tell("connected")
        place.hear()
        return int(comm.recv(1).sum())


def abort(place: Place) -> None:
    """Rank 1 aborts while the others wait."""
    with place.connect() as comm:
        comm.barrier()
        if comm.rank == 1:
            comm.abort("no more money")
        comm.barrier()


def raise_in_the_middle(place: Place) -> None:
    """Rank 1's own code fails while the others wait."""
    with place.connect() as comm:
        comm.barrier()
        if comm.rank == 1:
            raise ValueError("my own fault")
        comm.barrier()


def never_send(place: Place) -> None:
    """Rank 0 waits for what rank 1 doesn't send; rank 1 waits in a barrier."""
    with place.connect() as comm:
        comm.barrier()
        if comm.rank == 0:
            comm.recv(1)
        comm.barrier()


def wait_for_each_other(place: Place) -> None:
    """Wait for the next rank's message, which it never sends."""
    with place.connect() as comm:
        comm.barrier()
        place.tell("running")
        comm.recv((comm.rank + 1) % comm.size)


def disagree(place: Place) -> None:
    """One rank, the last if it isn't said, calls something else than all others."""
    mine, theirs = place.options["calls"]
    odd = place.options.get("odd", place.size - 1)
    with place.connect() as comm:
        comm.barrier()
        method, arguments = theirs if comm.rank == odd else mine
        getattr(comm, method)(**arguments)
        comm.barrier()


def bad_arguments(place: Place) -> int:
    """Call with arguments that can't be; all is refused here, and the job is still well."""
    with place.connect() as comm:
        for attempt in (
            lambda: comm.bcast(1, root=comm.size),
            lambda: comm.gather(1, root=-1),
            lambda: comm.send(1, comm.size),
            lambda: comm.send(1, 0, tag=-1),
            lambda: comm.allreduce(1, "average"),
            lambda: comm.Bcast(np.ones((4, 4))[:, 1]),
        ):
            _refused(ValueError, attempt)
        for attempt in (
            lambda: comm.bcast(object(), root=comm.rank),
            lambda: comm.allreduce(np.ones(2), "band"),
            lambda: comm.allreduce(np.array([object()])),
            lambda: comm.Bcast([1, 2]),  # type: ignore[arg-type]
        ):
            _refused(TypeError, attempt)
        return int(comm.allreduce(1))


def _refused(kind: type[Exception], attempt: Callable[[], Any]) -> None:
    try:
        attempt()
    except kind:
        return
    raise AssertionError("that should have been refused")


def broken_function(place: Place) -> None:
    """A user's reduction raises on one rank."""
    with place.connect() as comm:
        comm.barrier()
        comm.allreduce(np.ones(4), _raises if comm.rank == 0 else _adds)


def _raises(left: Any, right: Any) -> Any:
    raise ValueError("can't add")


def _adds(left: Any, right: Any) -> Any:
    return left + right


def until_deadline(place: Place) -> float:
    """Wait for a message that never comes, with a deadline; return how early it ended."""
    ends_at = float(place.options["ends_at"])
    with place.connect(deadline=ends_at, reserve_s=0.5) as comm:
        try:
            comm.recv((comm.rank + 1) % comm.size)
        except fmilib.Aborted:
            return ends_at - time.monotonic()
    raise AssertionError("the deadline did nothing")


def links_on_demand(place: Place) -> tuple[int, int]:
    """Say the ports that listen here, wait, then make all links."""
    with place.connect() as comm:
        place.tell(_listening_ports())
        place.hear()
        for _ in range(5):
            comm.barrier()
        return int(comm.allreduce(1)), comm.stats().links


def _listening_ports() -> list[int]:
    import psutil

    found = psutil.Process().net_connections("tcp")
    return [one.laddr.port for one in found if one.status == "LISTEN"]


# -- every collective ---------------------------------------------------------------


def collective_matrix(place: Place) -> int:
    """Check every collective in closed form; return the links that it took."""
    from fmilib_support.forms import COUNTS
    from fmilib_support.matrix import matrix

    with place.connect() as comm:
        matrix(comm, COUNTS, place.options["dtypes"])
        comm.barrier()
        return comm.stats().links


def swaps(place: Place) -> int:
    """Send and receive much at once, around rings, in pairs and alone."""
    from fmilib_support.swaps import all_swaps

    with place.connect() as comm:
        return all_swaps(comm)


def published(place: Place) -> Any:
    """Be a peer of a program that was written for the published interface."""
    from fmilib_support.published import peer

    return peer(place)


# -- policies -----------------------------------------------------------------------


def sum_and_rejoin(place: Place) -> dict[str, Any]:
    """Add up the steps of all ranks, from a common step; after a loss, form anew and go on.

    Each step is agreed on first, so a rank that was started again begins where the others are.
    """
    total, step = 0, 0
    lost: list[int] = []
    told = False
    comm = place.connect(on_failure="rejoin")
    try:
        while step < place.options["steps"]:
            try:
                step, total = comm.bcast((step, total), root=place.options["keeper"])
                gained = int(comm.allreduce(np.full(1000, comm.rank + 1))[-1])
                total, step = total + gained, step + 1
                if step >= 3 and not told:
                    told = True
                    place.tell("running")
                    if place.options["wait"]:
                        place.hear()
            except fmilib.PeerFailed as error:
                lost.append(error.rank)
                comm = comm.rejoin(timeout_s=place.options["rejoin_s"])
    finally:
        comm.close()
    return {"total": total, "lost": lost}


def report_what_came(place: Place) -> Any:
    """Say "ready" and hear before each gather that reports; then do a barrier, or say its error."""
    found = []
    with place.connect() as comm:
        for turn in range(place.options["gathers"]):
            place.tell("ready")
            place.hear()
            mine = np.full(place.options["count"], comm.rank + turn)
            deadline = place.options["deadline"]
            got = comm.gather(mine, 0, missing="report", deadline=deadline)
            if got is not None:
                sums = [None if one is None else int(one.sum()) for one in got.values]
                found.append((sums, got.missing))
        if place.options["barrier"]:
            comm.barrier()
    return found
