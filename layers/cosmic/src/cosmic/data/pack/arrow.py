"""Arrow's columns as arrays: by their types, offsets and validity, never by their totals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosmic.data.pack.source import ODD_ROWS, SHOWN_ROWS, Array, RowsRefused, Shape, Values

LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)
KINDS = {
    "i": (pa.types.is_signed_integer,),
    "u": (pa.types.is_unsigned_integer,),
    "f": (pa.types.is_floating, pa.types.is_null),  # nothing but nulls may be any column
    "b": (pa.types.is_boolean,),
    "U": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    "S": (
        *(pa.types.is_binary, pa.types.is_large_binary),
        *(pa.types.is_binary_view, pa.types.is_fixed_size_binary),
    ),
}
INT64_DIGITS = 18
AS_READ = {"i": pa.int64(), "U": pa.string(), "f": pa.float64()}


@dataclass(frozen=True)
class Leaf:
    """One field of a column: the column itself, or a part of the structs in it.

    Attributes:
        name: Such as `mag`, or `image.flux` for a part.
        parts: Names of the parts of structs on the way, outermost first.
        type: Of the values.
        depth: How many lists there are around a value.
    """

    name: str
    parts: tuple[str, ...]
    type: Any
    depth: int

    @property
    def kind(self) -> str:
        """NumPy's letter for the values' kind."""
        return kind_of(self.type)


def is_list(kind: Any) -> bool:
    """Whether a type is a list of any sort."""
    return any(is_one(kind) for is_one in LISTS)


def is_tensor(kind: Any) -> bool:
    """Whether a type is the extension for tensors of one shape."""
    return isinstance(kind, pa.FixedShapeTensorType)


def leaves(name: str, kind: Any, parts: tuple[str, ...] = (), depth: int = 0) -> Iterator[Leaf]:
    """The fields that a column of this type holds."""
    if is_tensor(kind):
        yield Leaf(name, parts, kind.value_type, depth + len(kind.shape))
    elif isinstance(kind, pa.BaseExtensionType):
        yield from leaves(name, kind.storage_type, parts, depth)
    elif is_list(kind):
        yield from leaves(name, kind.value_type, parts, depth + 1)
    elif pa.types.is_dictionary(kind):
        yield from leaves(name, kind.value_type, parts, depth)
    elif pa.types.is_struct(kind):
        for part in kind:
            yield from leaves(f"{name}.{part.name}", part.type, (*parts, part.name), depth)
    else:
        yield Leaf(name, parts, kind, depth)


def kind_of(kind: Any) -> str:
    """NumPy's letter for a plain type; decimals are read as floats, without a fraction as whole
    numbers or their digits."""
    if pa.types.is_decimal(kind):
        whole = "i" if kind.precision <= INT64_DIGITS else "U"
        return "f" if kind.scale else whole
    return next((letter for letter, are in KINDS.items() if any(is_a(kind) for is_a in are)), "O")


def common_shape(array: Any, leaf: Leaf) -> Shape | None:
    """The shape that most rows have, level by level; None: no row here has a value."""
    shape: list[int | None] = []
    parts = list(leaf.parts)
    while len(shape) < leaf.depth or parts:
        kind = array.type
        if is_tensor(kind):
            order = kind.permutation or range(len(kind.shape))
            return (*shape, *(kind.shape[axis] for axis in order))
        if is_list(kind):
            lengths = np.asarray(pc.drop_null(pc.list_value_length(array)))
            if not lengths.size:
                return None
            shape.append(_most_common(lengths))
            array = array.flatten()
        else:
            array = _opened(array, parts)
    return tuple(shape)


def _opened(array: Any, parts: list[str]) -> Any:
    """One layer less of what is no list: an extension, a dictionary, or a struct's next part."""
    if isinstance(array.type, pa.BaseExtensionType):
        return array.storage
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    return pc.struct_field(array, [array.type.get_field_index(parts.pop(0))])


def _most_common(lengths: Array) -> int:
    found, counts = np.unique(lengths, return_counts=True)
    return int(found[counts.argmax()])


def decoded(column: Any, leaf: Leaf, shape: Shape, start: int) -> Values:
    """Rows of a field, of the shape that their type and offsets say.

    Args:
        column: An array of the whole column's type.
        leaf: Which of its fields.
        shape: What each row must have; None: what most rows here have.
        start: Number of the first row in the file.

    Raises:
        RowsRefused: rows whose lists are of another length.
    """
    rows = np.arange(start, start + len(column))
    return _decoded(column, leaf, list(leaf.parts), list(shape), rows)


def _decoded(
    array: Any, leaf: Leaf, parts: list[str], shape: list[int | None], rows: Array
) -> Values:
    kind = array.type
    if is_tensor(kind):
        return _tensors(array, leaf, rows)
    if is_list(kind):
        return _lists(array, leaf, parts, shape, rows)
    if isinstance(kind, pa.BaseExtensionType | pa.DictionaryType | pa.StructType):
        return _decoded(_opened(array, parts), leaf, parts, shape, rows)
    return _plain(array, leaf)


def _lists(
    array: Any, leaf: Leaf, parts: list[str], shape: list[int | None], rows: Array
) -> Values:
    """Null lists hold nothing, so they take no values from their neighbours."""
    there = np.asarray(array.is_valid())
    length = _length(array, there, leaf, shape[0], rows)
    # Only lists can be of a wrong length: pixels, by far the most values, need no row's number.
    inner_rows = np.repeat(rows[there], length) if shape[1:] else rows[:0]
    inner = _decoded(array.flatten(), leaf, parts, shape[1:], inner_rows)
    known = inner.data.reshape(np.count_nonzero(there), length, *inner.data.shape[1:])
    if there.all():
        missing = inner.missing
        return Values(known, None if missing is None else missing.reshape(known.shape))
    data = np.zeros((len(array), *known.shape[1:]), known.dtype)
    data[there] = known
    gone = np.ones(data.shape, bool)
    gone[there] = inner.missing_values().reshape(known.shape)
    return Values(data, gone)


def _length(array: Any, there: Array, leaf: Leaf, wanted: int | None, rows: Array) -> int:
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0))
    known = lengths[there]
    if wanted is None:
        wanted = _most_common(known) if known.size else 0
    odd = there & (lengths != wanted)
    if odd.any():
        seen = [f"{n}" for n in lengths[odd][:SHOWN_ROWS]]
        what = f"{leaf.name} has lists of another length than {wanted}"
        raise RowsRefused(what, list(dict.fromkeys(rows[odd].tolist())), seen, ODD_ROWS)
    return wanted


def _tensors(array: Any, leaf: Leaf, rows: Array) -> Values:
    """`shape` is how values lie; `permutation` says which of these axes come first, second, …"""
    kind = array.type
    size = int(np.prod(kind.shape))
    flat = _lists(array.storage, leaf, [], [size], rows)
    order = [0, *(1 + axis for axis in kind.permutation or range(len(kind.shape)))]

    def placed(each: Array) -> Array:
        return each.reshape(len(array), *kind.shape).transpose(order)

    return Values(placed(flat.data), None if flat.missing is None else placed(flat.missing))


def _plain(array: Any, leaf: Leaf) -> Values:
    missing = np.asarray(array.is_null()) if array.null_count else None
    if leaf.kind == "O":
        data = np.empty(len(array), object)
        data[:] = array.to_pylist()
        return Values(data, missing)
    if pa.types.is_decimal(array.type) or pa.types.is_null(array.type):
        array = array.cast(AS_READ[leaf.kind])
    if missing is not None and leaf.kind != "S":
        array = pc.fill_null(array, "" if leaf.kind == "U" else 0)
    return Values(array.to_numpy(zero_copy_only=False), missing)
