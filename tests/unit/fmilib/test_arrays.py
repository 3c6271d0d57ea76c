"""Arrays that travel come back the very same, dtype and class included; the others are refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fmilib.api.communicator import Communicator as Comm
from fmilib.errors import MismatchError
from fmilib.wire import arrays, codec
from fmilib_support.hall import together

EXTENSIONS = sorted(
    name
    for name, found in vars(ml_dtypes).items()
    if isinstance(found, type) and issubclass(found, np.generic)
)
RECORDS = [("a", "i4"), ("b", "f8")]
LAYOUTS: list[Any] = [
    np.dtype(RECORDS, align=True),
    np.dtype([(("a title", "a"), "f8")]),
    np.dtype([("a", "f4", (2, 3))]),
    np.dtype([*RECORDS, ("c", "i2")])[["a", "c"]],
    np.dtype((np.record, RECORDS)),
    np.dtype("M8[25s]"),
    np.dtype(">c16"),
]


def sent(value: Any) -> Any:
    return codec.decode(bytearray(b"".join(codec.encode(value))))


@pytest.mark.parametrize("name", EXTENSIONS)
def test_numbers_of_ml_dtypes_keep_their_kind(name: str) -> None:
    kind = getattr(ml_dtypes, name)
    array = np.array([[0, 1, 1]], kind)
    found, scalar = sent(array), sent(kind(1))
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, (1, 3), array.tobytes())
    assert type(scalar) is kind
    assert scalar == kind(1)


def test_every_dtype_has_a_code_of_its_own() -> None:
    plain = [*np.typecodes["AllInteger"], *np.typecodes["AllFloat"], "?", "V1", "V2", "V4", "M8[s]"]
    dtypes = {np.dtype(one) for one in (*plain, *(getattr(ml_dtypes, name) for name in EXTENSIONS))}
    assert len({arrays.dtype_code(dtype) for dtype in dtypes}) == len(dtypes)


@pytest.mark.parametrize("kinds", [("float8_e4m3fn", "float8_e4m3fnuz"), ("bfloat16", "V2")])
@pytest.mark.parametrize("way", ["Send", "Allreduce", "Bcast"])
def test_kinds_of_one_short_name_are_a_mismatch(kinds: tuple[str, str], way: str) -> None:
    dtypes = [getattr(ml_dtypes, kind, kind) for kind in kinds]

    def body(comm: Comm) -> None:
        mine = np.zeros(4, dtypes[comm.rank])
        if way == "Send":
            comm.Send(mine, 1) if comm.rank == 0 else comm.Recv(mine, 0)
        elif way == "Allreduce":
            comm.Allreduce(mine, mine, lambda left, right: left)
        else:
            comm.Bcast(mine)

    with pytest.raises(MismatchError):
        together(2, body)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float8_e4m3b11fnuz", "int4"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_numbers_of_ml_dtypes_add_up(name: str, size: int) -> None:
    found = together(size, lambda comm: comm.allreduce(np.ones(9, getattr(ml_dtypes, name))))
    assert {one.dtype.name for one in found} == {name}
    assert all((one.astype("f4") == size).all() for one in found)


@pytest.mark.parametrize("dtype", LAYOUTS, ids=str)
def test_layouts_come_back_the_same(dtype: np.dtype[Any]) -> None:
    found = sent(np.zeros((2, 1), dtype))
    assert (found.dtype, found.dtype.type, found.shape) == (dtype, dtype.type, (2, 1))
    assert found.dtype.itemsize == dtype.itemsize


def test_record_arrays_come_back_as_such() -> None:
    array = np.rec.array([(1, 2.5), (3, 4.5)], dtype=RECORDS)
    found, one = sent({"in": [array]})["in"][0], sent(array[1])
    assert type(found) is np.recarray
    assert found.b.tolist() == [2.5, 4.5]
    assert (type(one), one.a) == (np.record, 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros(2, np.dtype("f8", metadata={"unit": "m"})), "drop_metadata"),
        (np.zeros(2, [("a", np.dtype("f8", metadata={"unit": "m"}))]), "drop_metadata"),
        (np.zeros(2, [("a", ml_dtypes.bfloat16)]), "send its fields"),
        (np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "f4"], "offsets": [0, 0]}), "fields"),
        (np.array(["a"], np.dtypes.StringDType()), "Python objects"),
        (type("Own", (np.float64,), {})(1.0), "numpy's own scalars"),
    ],
)
def test_what_no_name_describes_is_refused_with_a_way_out(value: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        codec.encode([value])


def test_the_way_out_of_metadata_works() -> None:
    noted = np.arange(3.0).view(np.dtype("f8", metadata={"unit": "m"}))
    plain = sent(noted.view(np.lib.format.drop_metadata(noted.dtype)))
    assert plain.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "text",
    ["ml_dtypes.finfo", "ml_dtypes.np", "ml_dtypes.__doc__", "ml_dtypes.", "ml_dtypes._finfo.np",
     "os.system", "record O", "record record", "|O"],
)  # fmt: skip
def test_a_name_that_comes_in_makes_numbers_only(text: str) -> None:
    raw = b"a" + len(text).to_bytes(4, "little") + text.encode() + b"\0"
    blob = len(raw).to_bytes(4, "little") + raw + bytes(128)
    with pytest.raises(codec.CodecError):
        codec.decode(blob)


@pytest.mark.process
def test_who_lacks_ml_dtypes_is_told() -> None:
    blob = b"".join(codec.encode(np.zeros(2, ml_dtypes.bfloat16)))
    code = (
        "import sys; sys.modules['ml_dtypes'] = None\n"
        "from fmilib.wire import codec\n"
        f"try: codec.decode({blob!r})\n"
        "except codec.CodecError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs the package ml_dtypes" in done.stdout


def test_lengths_that_four_bytes_cannot_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_LENGTH", 7)
    for value in (bytes(8), "12345678", ["12345678"], list(range(8)), 1 << 80):
        with pytest.raises(ValueError, match=r"7 is the most; send a numpy array"):
            codec.encode(value)
    assert sent(b"1234567") == b"1234567"


def test_bytes_of_4_gib_are_refused() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(ValueError, match="4294967295 is the most"):
        codec._SCALARS[bytes](Long())


@pytest.mark.parametrize("name", ["a3", "|a3", "[('x', '|a3')]", "('<a3', (2,))"])
def test_a_name_that_numpy_only_warns_of_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="never gives"):
        arrays.dtype_of(name)
