"""Plain objects and arrays as bytes, safely: nothing that is decoded can run code.

A blob is a 4-byte head length, the head (a typed tree in a few bytes), and then the
bodies of the arrays in it, each aligned to 64 bytes so that they are used where they lie.
Known: None, bool, int, float, complex, str, bytes, list, tuple, dict, numpy arrays and
numpy scalars of any dtype that has a name (see `fmilib.wire.arrays`). Of the subclasses of arrays
record arrays and memory maps are known; what a mask or a unit says would be lost, so arrays
that have one are refused.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sized
from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib.wire import arrays

ALIGN = 64
MAX_DEPTH = 32
MAX_LENGTH = 2**32 - 1
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
        TypeError: a type that isn't known, or an array that can't travel as it is.
        ValueError: nested deeper than 32; text or bytes of 4 GiB or more.
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


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGN)


def _put(value: Any, head: bytearray, bodies: list[npt.NDArray[Any]], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if type(value) is np.recarray:
        _put_array(b"r", value, head, bodies)
    elif isinstance(value, np.ndarray):
        arrays.check_plain(value)
        _put_array(b"a", value, head, bodies)
    elif isinstance(value, np.generic):
        _put_scalar(value, head, bodies)
    elif type(value) in (list, tuple, dict):
        _put_container(value, head, bodies, depth)
    else:
        put = _SCALARS.get(type(value))
        if put is None:
            raise TypeError(
                f"{type(value).__name__} can't be sent; see fmilib.wire.codec for what can"
            )
        head += put(value)


def _put_scalar(value: np.generic, head: bytearray, bodies: list[npt.NDArray[Any]]) -> None:
    array = np.asarray(value)
    if array.dtype.type is not type(value):
        raise TypeError(f"{type(value).__name__} can't be sent; numpy's own scalars can")
    _put_array(b"g", array, head, bodies)


def _put_array(
    mark: bytes, array: npt.NDArray[Any], head: bytearray, bodies: list[npt.NDArray[Any]]
) -> None:
    head += mark + _dtype_name(array.dtype) + bytes([array.ndim])
    for length in array.shape:
        head += _U64.pack(length)
    bodies.append(np.ascontiguousarray(array))


def _dtype_name(dtype: np.dtype[Any]) -> bytes:
    """Return a dtype's name as it stands in a head."""
    # Dtypes are equal whatever their metadata say, so others than numpy's own aren't looked up.
    return _builtin_name(dtype) if dtype.isbuiltin == 1 else _text(arrays.object_dtype_text(dtype))


@functools.lru_cache(maxsize=32)
def _builtin_name(dtype: np.dtype[Any]) -> bytes:
    return _text(arrays.object_dtype_text(dtype))


def _put_container(
    value: list[Any] | tuple[Any, ...] | dict[Any, Any],
    head: bytearray,
    bodies: list[npt.NDArray[Any]],
    depth: int,
) -> None:
    head += {list: b"l", tuple: b"t", dict: b"d"}[type(value)] + _length(value)
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    for part in value:
        _put(part, head, bodies, depth + 1)


def _text(value: str) -> bytes:
    raw = value.encode()
    return _length(raw) + raw


def _length(value: Sized) -> bytes:
    """Return a length in 4 bytes.

    Raises:
        ValueError: it doesn't fit.
    """
    length = len(value)
    if length > MAX_LENGTH:
        kind = type(value).__name__
        raise ValueError(
            f"{kind} of length {length}: {MAX_LENGTH} is the most; send a numpy array, "
            "such as numpy.frombuffer(value, numpy.uint8)"
        )
    return _U32.pack(length)


def _int(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"i" + _length(raw) + raw


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: _int,
    float: lambda value: b"f" + _F64.pack(value),
    complex: lambda value: b"c" + _C128.pack(value.real, value.imag),
    str: lambda value: b"s" + _text(value),
    bytes: lambda value: b"b" + _length(value) + value,
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
        if mark in b"agr":
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
        flat = np.frombuffer(self._blob[self._body : stop], np.uint8).view(dtype)
        self._body = stop + len(_padding(stop))
        array = flat.reshape(shape)
        if mark == b"r":
            return array.view(np.recarray)
        return array[()] if mark == b"g" else array

    def _dtype(self) -> np.dtype[Any]:
        try:
            return arrays.dtype_of(self.text())
        except ValueError as error:
            raise CodecError(str(error)) from error

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
