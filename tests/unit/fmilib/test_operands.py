"""What is handed in: bad arguments are refused before anything is sent, and the job stays well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from astropy import units

from fmilib.api.communicator import Communicator as Comm
from fmilib.errors import MismatchError
from fmilib.wire import codec, reductions
from fmilib_support.hall import together

SIZE = 3
MASKED = np.ma.array([1, 2, 3], mask=[False, True, False])
LOSSY: list[Any] = [
    MASKED,
    MASKED[1],
    np.ones((1, 2)).view(np.matrix),
    [1.0, 2.0] * units.m,
    3.0 * units.s,
    np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]).view(type("Own", (np.ndarray,), {})),
]
NO_BUFFERS: list[Any] = [[1, 2], None, bytearray(8), memoryview(bytes(8)), b"12345678", 1, "text"]


def refused(error: type[Exception], words: str, call: Callable[[Comm], Any]) -> None:
    """Check that each of three ranks refuses a call, and that they agree on the next one."""

    def body(comm: Comm) -> int:
        with pytest.raises(error, match=words):
            call(comm)
        total: int = comm.allreduce(comm.rank)
        return total

    assert together(SIZE, body) == [3] * SIZE


# -- messages to oneself ------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "room"),
    [
        (np.ones(4), np.ones(4, "f4")),
        (np.ones(4), np.ones(3)),
        (np.ones(4), np.ones(8, "i4")),
        (np.ones(1), np.ones(5)),
        (np.ones(2, "i8"), np.ones(2)),
    ],
)
@pytest.mark.parametrize("to", [0, 1])
def test_a_message_to_oneself_must_fit_as_one_to_another(sent: Any, room: Any, to: int) -> None:
    def body(comm: Comm) -> None:
        if comm.rank == 0:
            comm.Send(sent, to)
        if comm.rank == to:
            comm.Recv(room, 0)

    with pytest.raises(Exception, match=r"message\(tag=0, dtype=.*count="):
        together(2, body)


@pytest.mark.parametrize("to", [0, 1])
@pytest.mark.parametrize("buffer_first", [False, True])
def test_a_buffer_is_never_taken_for_an_object(to: int, buffer_first: bool) -> None:
    """Not even one whose bytes are those of an object."""
    room = np.frombuffer(bytearray(b"".join(codec.encode(7))), np.uint8)

    def body(comm: Comm) -> None:
        if comm.rank == 0:
            comm.Send(room, to) if buffer_first else comm.send(7, to)
        if comm.rank == to:
            comm.recv(0) if buffer_first else comm.Recv(room.copy(), 0)

    with pytest.raises(Exception, match=r"message\(tag=0"):
        together(2, body)


def test_a_message_that_was_never_sent_to_oneself_names_oneself() -> None:
    def body(comm: Comm) -> None:
        if comm.rank == 1:
            comm.recv(1)

    with pytest.raises(Exception, match="waiting for: 1"):
        together(2, body)


# -- buffers ----------------------------------------------------------------------

BUFFER_CALLS: dict[str, Callable[[Comm, Any], Any]] = {
    "Send": lambda comm, given: comm.Send(given, 0),
    "Recv": lambda comm, given: comm.Recv(given, 0),
    "Sendrecv": lambda comm, given: comm.Sendrecv(given, 0, np.ones(1), 0),
    "Sendrecv out": lambda comm, given: comm.Sendrecv(np.ones(1), 0, given, 0),
    "Bcast": lambda comm, given: comm.Bcast(given),
    "Reduce": lambda comm, given: comm.Reduce(given, np.ones(1)),
    "Allreduce": lambda comm, given: comm.Allreduce(given, np.ones(1)),
    "Allreduce out": lambda comm, given: comm.Allreduce(np.ones(1), given),
    "Scan": lambda comm, given: comm.Scan(given, np.ones(1)),
    "Exscan": lambda comm, given: comm.Exscan(given, np.ones(1)),
    "Gather": lambda comm, given: comm.Gather(given, np.ones((SIZE, 1))),
    "Gatherv": lambda comm, given: comm.Gatherv(given, np.ones(SIZE), [1] * SIZE),
    "Scatter": lambda comm, given: comm.Scatter(np.ones(SIZE), given),
    "Scatterv": lambda comm, given: comm.Scatterv(np.ones(SIZE), [1] * SIZE, given),
    "Allgather": lambda comm, given: comm.Allgather(given, np.ones((SIZE, 1))),
    "Allgather out": lambda comm, given: comm.Allgather(np.ones(1), given),
    "Alltoall": lambda comm, given: comm.Alltoall(given, np.ones(SIZE)),
    "Reduce_scatter": lambda comm, given: comm.Reduce_scatter(given, np.ones(1)),
}


@pytest.mark.parametrize("name", BUFFER_CALLS)
def test_what_is_no_plain_array_is_no_buffer(name: str) -> None:
    def body(comm: Comm) -> int:
        for given in [*NO_BUFFERS, *LOSSY]:
            with pytest.raises(TypeError, match=r"a buffer is a numpy array|more than its numbers"):
                BUFFER_CALLS[name](comm, given)
        total: int = comm.allreduce(1)
        return total

    assert together(SIZE, body) == [SIZE] * SIZE


def test_a_memory_map_is_a_buffer(tmp_path: Any) -> None:
    found = np.memmap(tmp_path / "map", np.float64, "w+", shape=(4,))
    assert together(1, lambda comm: comm.Bcast(found)) == [None]
    assert np.array_equal(codec.decode(b"".join(codec.encode(found))), found)


ROWS = 2
SHARED: dict[str, tuple[Callable[[Comm, Any, Any], Any], Callable[[Comm, Any], Any] | None]] = {
    # call(comm, all of an array of a row a rank, a part of it), and the part that may be used
    "Gather": (lambda comm, all_of, part: comm.Gather(part, all_of, 1), lambda c, a: a[c.rank]),
    "Gatherv": (
        lambda comm, all_of, part: comm.Gatherv(part, all_of, [ROWS] * SIZE, 1),
        lambda comm, all_of: all_of[comm.rank],
    ),
    "Scatter": (lambda comm, all_of, part: comm.Scatter(all_of, part, 1), lambda c, a: a[c.rank]),
    "Scatterv": (
        lambda comm, all_of, part: comm.Scatterv(all_of, [ROWS] * SIZE, part, 1),
        lambda comm, all_of: all_of[comm.rank],
    ),
    "Allgather": (lambda comm, all_of, part: comm.Allgather(part, all_of), lambda c, a: a[c.rank]),
    "Reduce_scatter": (
        lambda comm, all_of, part: comm.Reduce_scatter(all_of, part),
        lambda comm, all_of: all_of[comm.rank],
    ),
    "Sendrecv": (
        lambda comm, all_of, part: comm.Sendrecv(all_of, comm.rank, part, comm.rank),
        None,
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_buffers_that_share_memory_are_refused_but_for_the_own_part(name: str) -> None:
    call, own = SHARED[name]

    def body(comm: Comm) -> tuple[bool, Any]:
        all_of = np.arange(SIZE * ROWS * 1.0).reshape(SIZE, ROWS) + 10 * comm.rank
        before = all_of.copy()
        flat, other = all_of.reshape(-1), (comm.rank + 1) % SIZE
        parts = [all_of[other], flat[1 + 2 * comm.rank : 3 + 2 * comm.rank][:ROWS]]
        parts += [all_of[comm.rank].view("i8")] if name == "Sendrecv" else []
        if comm.rank == 1:  # the root, where there is one
            for part in parts:
                with pytest.raises(ValueError, match="share memory"):
                    call(comm, all_of, part)
        kept = np.array_equal(all_of, before)
        if own is None:
            comm.barrier()
            return kept, None
        expected = all_of.copy(), all_of[comm.rank].copy()
        call(comm, all_of, own(comm, all_of))
        call(comm, expected[0], expected[1])
        mine = expected[0][comm.rank] if name in ("Gather", "Gatherv", "Allgather") else expected[1]
        return kept, np.array_equal(all_of[comm.rank], mine)

    for kept, same in together(SIZE, body):
        assert kept
        assert same in (None, True)


@pytest.mark.parametrize("name", ["Allreduce", "Scan", "Exscan", "Alltoall"])
def test_alike_buffers_are_one_or_apart(name: str) -> None:
    def body(comm: Comm) -> bool:
        room = np.arange(2.0 * SIZE) + comm.rank
        before = room.copy()
        with pytest.raises(ValueError, match="share memory"):
            getattr(comm, name)(room[:SIZE], room[1 : SIZE + 1])
        assert np.array_equal(room, before)
        one, other = room[:SIZE], np.zeros(SIZE)
        getattr(comm, name)(one.copy(), other)
        getattr(comm, name)(one, room[:SIZE])
        return bool(np.array_equal(one, other)) or (name == "Exscan" and comm.rank == 0)

    assert together(SIZE, body) == [True] * SIZE


def test_the_roots_buffers_of_a_reduction_are_one_or_apart() -> None:
    def body(comm: Comm) -> list[float]:
        room = np.arange(3.0)
        if comm.rank == 0:
            with pytest.raises(ValueError, match="share memory"):
                comm.Reduce(room[:2], room[1:])
        comm.Reduce(room, room)
        found: list[float] = room.tolist()
        return found

    assert together(2, body) == [[0.0, 2.0, 4.0], [0.0, 1.0, 2.0]]


# -- what ranks must agree on -------------------------------------------------------

DIFFERENT: dict[str, Callable[[Comm, int], Any]] = {  # rank 1 hands in one element more
    "Bcast": lambda comm, count: comm.Bcast(np.ones(count)),
    "Allreduce": lambda comm, count: comm.Allreduce(np.ones(count), np.ones(count)),
    "Reduce": lambda comm, count: comm.Reduce(np.ones(count), np.ones(count)),
    "Scan": lambda comm, count: comm.Scan(np.ones(count), np.ones(count)),
    "Exscan": lambda comm, count: comm.Exscan(np.ones(count), np.ones(count)),
    "Gather": lambda comm, count: comm.Gather(np.ones(count), np.ones(comm.size * count)),
    "Gatherv": lambda comm, count: comm.Gatherv(
        np.ones(count), np.ones(comm.size * count), [count] * comm.size
    ),
    "Scatter": lambda comm, count: comm.Scatter(np.ones(comm.size * count), np.ones(count)),
    "Scatterv": lambda comm, count: comm.Scatterv(
        np.ones(comm.size * count), [count] * comm.size, np.ones(count)
    ),
    "Allgather": lambda comm, count: comm.Allgather(np.ones(count), np.ones(comm.size * count)),
    "Alltoall": lambda comm, count: comm.Alltoall(
        np.ones(comm.size * count), np.ones(comm.size * count)
    ),
    "Reduce_scatter": lambda comm, count: comm.Reduce_scatter(
        np.ones(comm.size * count), np.ones(count)
    ),
}


@pytest.mark.parametrize("count", [0, 5, 9000])
@pytest.mark.parametrize("size", [2, 3, 5, 18])
@pytest.mark.parametrize("name", DIFFERENT)
def test_sizes_that_differ_are_a_mismatch(name: str, size: int, count: int) -> None:
    with pytest.raises(MismatchError):
        together(size, lambda comm: DIFFERENT[name](comm, count + (comm.rank == 1)))


@pytest.mark.parametrize("count", [6, 9000])
@pytest.mark.parametrize("size", [2, 3, 8, 18])
@pytest.mark.parametrize("op", ["sum", "minus", "any order"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_counts_that_differ_are_a_mismatch_on_every_path(
    count: int, size: int, op: str, deterministic: bool
) -> None:
    """Whether star, doubling, ring or fold: the same elements in all, cut in two ways."""
    functions: dict[str, Any] = {
        "sum": "sum",
        "minus": np.subtract,
        "any order": reductions.named(np.maximum, commutative=True),
    }

    def body(comm: Comm) -> None:
        counts = [count] * size
        if comm.rank == size - 1:
            counts[0], counts[1] = count - 1, count + 1
        part = np.empty(counts[comm.rank])
        everything = np.ones(sum(counts))
        comm.Reduce_scatter(everything, part, counts, functions[op], deterministic=deterministic)

    with pytest.raises(MismatchError, match="counts #"):
        together(size, body)


# -- objects ----------------------------------------------------------------------

OBJECT_CALLS: dict[str, Callable[[Comm, Any], Any]] = {
    "send": lambda comm, given: comm.send(given, 0),
    "isend": lambda comm, given: comm.isend(given, 0),
    "sendrecv": lambda comm, given: comm.sendrecv(given, 0, 0),
    "gather": lambda comm, given: comm.gather(given),
    "allgather": lambda comm, given: comm.allgather({"in": [given]}),
    "alltoall": lambda comm, given: comm.alltoall([given] * SIZE),
    "reduce": lambda comm, given: comm.reduce(given),
    "allreduce": lambda comm, given: comm.allreduce(given),
    "allreduce of a list": lambda comm, given: comm.allreduce([given]),
    "scan": lambda comm, given: comm.scan(given, "max"),
    "exscan": lambda comm, given: comm.exscan(given),
    "minloc": lambda comm, given: comm.allreduce((given, 0), "minloc"),
    "reduce_scatter": lambda comm, given: comm.reduce_scatter([given] * SIZE),
}


@pytest.mark.parametrize("name", OBJECT_CALLS)
@pytest.mark.parametrize("given", LOSSY, ids=lambda given: type(given).__name__)
def test_arrays_that_mean_more_than_their_numbers_are_refused(name: str, given: Any) -> None:
    refused(TypeError, r"numpy\.asarray", lambda comm: OBJECT_CALLS[name](comm, given))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda comm: comm.bcast(1, 0.0), TypeError, "root must be a whole number, got 0.0"),
        (lambda comm: comm.gather(1, "0"), TypeError, "root must be a whole number"),
        (lambda comm: comm.Reduce(np.ones(1), np.ones(1), root=None), TypeError, "root"),
        (lambda comm: comm.send(1, 0.0), TypeError, "peer must be a whole number"),
        (lambda comm: comm.send(1, 0, tag=0.5), TypeError, "tag must be a whole number"),
        (lambda comm: comm.split(0, object()), TypeError, "key must be a whole number"),
        (lambda comm: comm.split(0.5), TypeError, "color must be a whole number"),
        (lambda comm: comm.split(-1), ValueError, "color must be"),
        (lambda comm: comm.bcast(object()) if comm.rank == 0 else comm.bcast(1, 9),
         (TypeError, ValueError), "can't be sent|root must be"),
        (lambda comm: comm.scatter({0: 1, 1: 2, 2: 3}, comm.rank), TypeError, "list; got dict"),
        (lambda comm: comm.alltoall({0: 1, 1: 2, 2: 3}), TypeError, "as a list; got dict"),
        (lambda comm: comm.reduce_scatter({0: 1, 1: 2, 2: 3}), TypeError, "as a list; got dict"),
        (lambda comm: comm.alltoall({1, 2, 3}), TypeError, "as a list; got set"),
        (lambda comm: comm.alltoall("abc"), TypeError, "as a list; got str"),
        (lambda comm: comm.alltoall(b"abc"), TypeError, "as a list; got bytes"),
        (lambda comm: comm.alltoall(iter([1, 2, 3])), TypeError, "as a list; got list_iterator"),
        (lambda comm: comm.alltoall(np.array(3)), ValueError, "3 of them; got none"),
        (lambda comm: comm.alltoall([1, 2]), ValueError, "3 of them; got 2"),
        (lambda comm: comm.allreduce({"a": 1}), TypeError, "a dict can't be reduced"),
        (lambda comm: comm.allreduce([1, None]), TypeError, "a NoneType can't be reduced"),
        (lambda comm: comm.allreduce("r0"), TypeError, "sum of <U2 gives <U4"),
        (lambda comm: comm.allreduce(np.array([b"ab"])), TypeError, "sum of"),
        (lambda comm: comm.allreduce("r0", "land"), TypeError, "land of <U2 gives bool"),
        (lambda comm: comm.allreduce(np.ones(2, ml_dtypes.int4), "max"), TypeError, "gives int8"),
        (lambda comm: comm.allreduce(1, 7), TypeError, "a name or a callable"),
        (lambda comm: comm.Reduce_scatter(np.ones(4), np.ones(2), [2, 2]), ValueError, "counts"),
        (lambda comm: comm.Reduce_scatter(np.ones(3), np.ones(1), [1.0] * 3), TypeError, "a count"),
        (lambda comm: comm.Gatherv(np.ones(1), np.ones(3), [4, -2, 1], comm.rank),
         ValueError, "0 or more"),
        (lambda comm: comm.Allreduce(np.ones(2, bool), np.ones(2, bool)),
         ValueError, "sum counts booleans, so `out` must be int64"),
        (lambda comm: comm.Scan(np.ones(2, bool), np.ones(2, bool), "prod"),
         ValueError, "prod counts booleans"),
        (lambda comm: comm.Allreduce(*[np.ones(2, bool)] * 2), ValueError, "sum counts booleans"),
    ],
)  # fmt: skip
def test_bad_arguments_leave_the_job_well(call: Any, error: Any, words: str) -> None:
    refused(error, words, call)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int8])
def test_ranks_and_tags_may_be_numpys_integers(kind: Any) -> None:
    """Of any width: the arithmetic of trees would wrap in eight bits."""

    def body(comm: Comm) -> list[Any]:
        root, me = kind(2), kind(comm.rank)
        comm.send(comm.rank, kind((comm.rank + 1) % 5), tag=kind(9))
        return [
            comm.bcast(comm.rank, root), comm.reduce(1, root=root), comm.gather(me.item(), root),
            comm.scatter([1, 2, 3, 4, 5], root), comm.recv((me - kind(1)) % kind(5), kind(9))
            if comm.rank else comm.recv(kind(4), 9),
        ]  # fmt: skip

    found = together(5, body)
    assert [one[0] for one in found] == [2] * 5
    assert found[2][1:3] == [5, [0, 1, 2, 3, 4]]
    assert [one[3] for one in found] == [1, 2, 3, 4, 5]
    assert [one[4] for one in found] == [4, 0, 1, 2, 3]


# -- what a function gives ----------------------------------------------------------

MISFITS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "a sum of all": (lambda a, b: (a + b).sum(), np.ones(4)),
    "one element": (lambda a, b: (a + b)[:1], np.ones(4)),
    "one more axis": (lambda a, b: (a + b)[None], np.ones(4)),
    "one axis less": (lambda a, b: (a + b)[0], np.ones((1, 4))),
    "a wider dtype": (lambda a, b: a / b, np.ones(4, "i8")),
    "truth": (lambda a, b: a > b, np.ones(4, "i8")),
    "wider floats": (lambda a, b: (a + b).astype("f8"), np.ones(4, "f4")),
    "longer text": (np.strings.add, np.array(["r0"])),
    "nothing": (lambda _a, _b: None, np.ones(4)),
    "a number for a number": (lambda a, b: (a + b).sum().item(), np.float32(1)),
    "a mask": (lambda a, b: np.ma.array(a + b, mask=True), np.ones(4)),
    "another unit of time": (lambda a, b: (a + b).astype("m8[ms]"), np.ones(4, "m8[s]")),
}


def reducing(way: str, given: Callable[[int], Any], op: Any) -> Callable[[Comm], Any]:
    """Return what each rank does: reduce what is given of it."""
    return lambda comm: getattr(comm, way)(given(comm.rank), op)


@pytest.mark.parametrize("way", ["allreduce", "reduce", "scan", "exscan", "reduce_scatter"])
@pytest.mark.parametrize("name", MISFITS)
def test_a_function_must_keep_dtype_and_shape(name: str, way: str) -> None:
    function, operand = MISFITS[name]
    given = [operand] * SIZE if way == "reduce_scatter" else operand
    for op in (function, reductions.named(function, commutative=True)):
        with pytest.raises(TypeError, match=r"must keep their dtype and shape|more than its numb"):
            together(SIZE, reducing(way, lambda _: given, op))


@pytest.mark.parametrize("way", ["Allreduce", "Reduce", "Scan", "Exscan"])
def test_a_function_on_buffers_must_keep_dtype_and_shape(way: str) -> None:
    with pytest.raises(TypeError, match="must keep their dtype and shape"):
        together(SIZE, lambda comm: getattr(comm, way)(np.ones(4), np.ones(4), lambda a, b: a[:1]))


def test_numpys_functions_are_held_to_it_too() -> None:
    halves = reductions.Op("mean", 99, np.true_divide, ufunc=np.true_divide)
    refused(TypeError, "mean of int64 gives float64", lambda comm: comm.allreduce(4, halves))


@pytest.mark.parametrize("way", ["allreduce", "reduce", "scan", "exscan"])
@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_a_function_may_work_in_its_operands(way: str, size: int) -> None:
    def into_left(left: Any, right: Any) -> Any:
        left += right
        return left

    def into_right(left: Any, right: Any) -> Any:
        right += left
        return right

    for function in (into_left, into_right):
        for op in (function, reductions.named(function, commutative=True)):
            found = together(size, reducing(way, lambda rank: np.full(3, 1 << rank), op))
            totals = {
                "allreduce": [2**size - 1] * size,
                "reduce": [2**size - 1] + [None] * (size - 1),
                "scan": [2 ** (rank + 1) - 1 for rank in range(size)],
                "exscan": [None, *(2**rank - 1 for rank in range(1, size))],
            }[way]
            assert [None if one is None else int(one[0]) for one in found] == totals


def test_functions_may_give_native_order_for_swapped_numbers() -> None:
    found = together(SIZE, lambda comm: comm.allreduce(np.ones(2, ">f8"), lambda a, b: a + b))
    assert all(one.dtype == np.dtype(">f8") and one.tolist() == [3.0, 3.0] for one in found)


# -- who is called ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "expected"), [(max, [2, 9]), (min, [0, 7]), (sum, [3, 24])], ids=["max", "min", "sum"]
)
def test_pythons_own_reductions_are_those_reductions(op: Any, expected: list[int]) -> None:
    found = together(SIZE, lambda comm: comm.allreduce(np.array([comm.rank, 9 - comm.rank]), op))
    assert [one.tolist() for one in found] == [expected] * SIZE


@pytest.mark.parametrize("name", sorted(reductions.BUILTIN))
def test_a_function_is_called_whatever_its_name(name: str) -> None:
    sizes: list[int] = []

    def first(left: Any, _right: Any) -> Any:
        sizes.append(left.size)
        return left

    first.__name__ = name
    assert together(SIZE, lambda comm: comm.allreduce(comm.rank + 5, first)) == [5] * SIZE
    flags = together(SIZE, lambda comm: comm.allreduce(np.array([comm.rank == 0]), first))
    assert [one.dtype for one in flags] == [np.dtype(bool)] * SIZE
    assert set(sizes) == {1}


# -- booleans -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [4, 5000])
def test_buffers_of_booleans_are_counted(size: int, count: int) -> None:
    def body(comm: Comm) -> list[int]:
        flags, found = np.ones(count * size, bool), np.full(count * size, -1)
        comm.Allreduce(flags, found)
        total = int(found[-1])
        comm.Scan(flags, found)
        upto = int(found[-1])
        comm.Reduce(flags, found, "prod")
        part = np.full(count, -1)
        comm.Reduce_scatter(flags, part)
        kept = np.zeros(count * size, bool)
        comm.Allreduce(flags, kept, "lor")
        return [total, upto, int(part[-1]), int(kept.all())]

    assert together(size, body) == [[size, rank + 1, size, 1] for rank in range(size)]


# -- records whose layout numpy would change ----------------------------------------


def test_minloc_keeps_padded_records() -> None:
    padded = np.dtype([("value", "f4"), ("location", "i8")], align=True)
    found = together(
        SIZE,
        lambda comm: comm.allreduce(np.array([(3.0 - comm.rank, comm.rank)], padded), "minloc"),
    )
    assert [(one.dtype, one.tolist()) for one in found] == [(padded, [(1.0, 2)])] * SIZE
