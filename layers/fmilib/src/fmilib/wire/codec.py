"""Plain objects and arrays as bytes, safely: nothing that is decoded can run code.

A blob is a 4-byte head length, the head (a typed tree in a few bytes), and then the
bodies of the arrays in it, each aligned to 64 bytes so that they are used where they lie.
Known: None, bool, int, float, complex, str, bytes, list, tuple, dict, numpy arrays and
numpy scalars of any dtype without Python objects in it.
"""

from __future__ import annotations

import ast
import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib.wire.frames import type_code

ALIGN = 64
MAX_DEPTH = 32
MAX_DTYPE_TEXT = 4096
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_F64 = struct.Struct("<d")
_C128 = struct.Struct("<dd")
Buffer = bytes | bytearray | memoryview


class CodecError(ValueError):
    """A blob that is cut short, too deep, or names a type that isn't known."""


def encode(value: Any) -> list[Buffer]:
    """Return the buffers that together are the blob of `value`; array bodies aren't copied.

    Raises:
        TypeError: a type that isn't known, or a dtype with Python objects in it.
        ValueError: nested deeper than 32.
    """
    head = bytearray()
    bodies: list[npt.NDArray[Any]] = []
    _put(value, head, bodies, 0)
    start = bytes(4 + len(head))
    buffers: list[Buffer] = [_U32.pack(len(head)) + head + _padding(len(start))]
    for body in bodies:
        buffers.append(flat(body))
        if pad := _padding(body.nbytes):
            buffers.append(pad)
    return buffers


def decode(blob: Buffer) -> Any:
    """Return the value of a blob; its arrays are views of the blob where they lie.

    Raises:
        CodecError: the blob isn't one.
    """
    reader = _Reader(memoryview(blob).cast("B"))
    try:
        value = reader.value(0)
    except (struct.error, UnicodeDecodeError, SyntaxError, TypeError, OverflowError) as error:
        raise CodecError(f"a blob can't be read: {error}") from error
    return value


def flat(array: npt.NDArray[Any]) -> memoryview:
    """Return the bytes of a C-contiguous array as a flat memoryview."""
    return array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(b"")


def size_of(buffers: list[Buffer]) -> int:
    """Return the bytes of a blob."""
    return sum(len(buffer) for buffer in buffers)


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, from which it can be made again.

    Raises:
        TypeError: it has Python objects in it.
    """
    if dtype.hasobject:
        raise TypeError(f"arrays of {dtype} hold Python objects; send plain dtypes")
    return dtype.str if dtype.fields is None else repr(np.lib.format.dtype_to_descr(dtype))


@functools.lru_cache(maxsize=256)
def dtype_code(dtype: np.dtype[Any]) -> bytes:
    """Return the 8 bytes that stand for a dtype in a frame.

    Raises:
        TypeError: it has Python objects in it.
    """
    return type_code(dtype_text(dtype))


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGN)


def _put(value: Any, head: bytearray, bodies: list[npt.NDArray[Any]], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, np.ndarray):
        _put_array(b"a", value, head, bodies)
    elif isinstance(value, np.generic):
        _put_array(b"g", np.asarray(value), head, bodies)
    elif type(value) in (list, tuple, dict):
        _put_container(value, head, bodies, depth)
    else:
        put = _SCALARS.get(type(value))
        if put is None:
            raise TypeError(
                f"{type(value).__name__} can't be sent; see fmilib.wire.codec for what can"
            )
        head += put(value)


def _put_array(
    mark: bytes, array: npt.NDArray[Any], head: bytearray, bodies: list[npt.NDArray[Any]]
) -> None:
    head += mark + _text(dtype_text(array.dtype)) + bytes([array.ndim])
    for length in array.shape:
        head += _U64.pack(length)
    bodies.append(np.ascontiguousarray(array))


def _put_container(
    value: list[Any] | tuple[Any, ...] | dict[Any, Any],
    head: bytearray,
    bodies: list[npt.NDArray[Any]],
    depth: int,
) -> None:
    head += {list: b"l", tuple: b"t", dict: b"d"}[type(value)] + _U32.pack(len(value))
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    for part in value:
        _put(part, head, bodies, depth + 1)


def _text(value: str) -> bytes:
    raw = value.encode()
    return _U32.pack(len(raw)) + raw


def _int(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"i" + _U32.pack(len(raw)) + raw


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: _int,
    float: lambda value: b"f" + _F64.pack(value),
    complex: lambda value: b"c" + _C128.pack(value.real, value.imag),
    str: lambda value: b"s" + _text(value),
    bytes: lambda value: b"b" + _U32.pack(len(value)) + value,
}


class _Reader:
    """Reads one blob; every length is checked against what is there."""

    def __init__(self, blob: memoryview) -> None:
        self._blob = blob
        if len(blob) < 4:
            raise CodecError("a blob of less than 4 bytes")
        (length,) = _U32.unpack_from(blob)
        self._at = 4
        self._end = 4 + length
        self._body = self._end + len(_padding(self._end))
        if self._end > len(blob):
            raise CodecError("a blob's head is cut short")

    def _take(self, length: int) -> memoryview:
        if self._at + length > self._end:
            raise CodecError("a blob's head is cut short")
        piece = self._blob[self._at : self._at + length]
        self._at += length
        return piece

    def _number(self, layout: struct.Struct = _U32) -> int:
        value: int = layout.unpack(self._take(layout.size))[0]
        return value

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CodecError(f"a blob nested deeper than {MAX_DEPTH}")
        mark = bytes(self._take(1))
        if mark in b"ltd":
            return self._container(mark, depth)
        if mark in b"ag":
            return self._array(mark)
        read = _READERS.get(mark)
        if read is None:
            raise CodecError(f"a blob names the unknown type {mark!r}")
        return read(self)

    def _container(self, mark: bytes, depth: int) -> list[Any] | tuple[Any, ...] | dict[Any, Any]:
        length = self._number() * (2 if mark == b"d" else 1)
        parts = [self.value(depth + 1) for _ in range(length)]
        if mark == b"d":
            return dict(zip(parts[::2], parts[1::2], strict=True))
        return tuple(parts) if mark == b"t" else parts

    def _array(self, mark: bytes) -> Any:
        dtype = self._dtype()
        shape = tuple(self._number(_U64) for _ in range(self._number(struct.Struct("<B"))))
        count = 1
        for length in shape:
            count *= length
        stop = self._body + count * dtype.itemsize
        if stop > len(self._blob):
            raise CodecError("a blob's array is cut short")
        array = np.frombuffer(self._blob[self._body : stop], np.uint8).view(dtype)
        self._body = stop + len(_padding(stop))
        return array.reshape(shape)[()] if mark == b"g" else array.reshape(shape)

    def _dtype(self) -> np.dtype[Any]:
        text = self.text()
        if len(text) > MAX_DTYPE_TEXT:
            raise CodecError(f"a dtype's name of {len(text)} characters")
        descr: Any = ast.literal_eval(text) if text[:1] in "[(" else text
        dtype = np.lib.format.descr_to_dtype(descr)
        if dtype.hasobject:
            raise CodecError("a dtype with Python objects in it")
        return dtype

    def raw(self) -> bytes:
        return bytes(self._take(self._number()))

    def text(self) -> str:
        return self.raw().decode()

    def real(self) -> float:
        value: float = _F64.unpack(self._take(8))[0]
        return value


_READERS: dict[bytes, Callable[[_Reader], Any]] = {
    b"N": lambda _: None,
    b"T": lambda _: True,
    b"F": lambda _: False,
    b"i": lambda reader: int.from_bytes(reader.raw(), "little", signed=True),
    b"f": lambda reader: reader.real(),
    b"c": lambda reader: complex(reader.real(), reader.real()),
    b"s": lambda reader: reader.text(),
    b"b": lambda reader: reader.raw(),
}
