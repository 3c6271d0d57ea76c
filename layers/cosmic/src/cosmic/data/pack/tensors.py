"""Tensors by name: safetensors and `torch.save` of a dict, whichever program wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import as_strided

from cosmic.data.native import FORMAT
from cosmic.data.pack.partitions import mapped_file, open_partition
from cosmic.data.pack.source import Array, Field, Source, Values, array_fields, keyed, unreadable
from cosmic.data.pt import check_bounds
from cosmic.data.torch_pickle import MAX_PICKLE_BYTES, STORAGES, Machine, StoredTensor, follow
from cosmic.data.torch_zip import PICKLE, Archive, LayoutError
from cosmic.errors import InputError

DTYPES = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(bool),
}


def open_safetensors(path: Path) -> Source:
    """A native partition, or other tensors whose first axes are rows.

    Raises:
        InputError: it is neither.
    """
    try:
        return open_partition(path, "safetensors")
    except InputError as error:
        return _open_tensors(path, error)


def _open_tensors(path: Path, refused: InputError) -> Source:
    """A file that is no native partition, and doesn't say that it is one."""
    from safetensors import SafetensorError, safe_open

    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(safe_open(path, "np"))
            metadata = file.metadata() or {}
            if metadata.get("format") == FORMAT:
                raise refused
            names = list(file.keys())
            fields = [f for name in names for f in _safetensor(path, file, name)]
        except (SafetensorError, OSError, ValueError) as error:
            raise refused from error
        close = stack.pop_all().close
        return Source(path, "tensors (safetensors)", keyed(fields), metadata, close)


def _safetensor(path: Path, file: Any, name: str) -> list[Field]:
    part = file.get_slice(name)
    shape, dtype = tuple(part.get_shape()), DTYPES.get(part.get_dtype())
    if not shape:
        return []
    if dtype is None:
        return [_unread(path, name, shape, part.get_dtype())]
    return array_fields(name, part, dtype, shape)


def _unread(path: Path, name: str, shape: tuple[int, ...], dtype: str) -> Field:
    def read(start: int, stop: int) -> Values:
        raise unreadable(path, f"{name} is {dtype}, which is not read")

    return Field(name, shape[0], dtype, "O", shape[1:], read)


class _AnyTensors(Machine):
    """Reads the pickle of tensors of all usual types."""

    storages: ClassVar[Mapping[str, np.dtype[Any]]] = {
        **STORAGES,
        "torch.HalfStorage": np.dtype("<f2"),
        "torch.LongStorage": np.dtype("<i8"),
        "torch.IntStorage": np.dtype("<i4"),
        "torch.ShortStorage": np.dtype("<i2"),
        "torch.CharStorage": np.dtype("<i1"),
        "torch.ByteStorage": np.dtype("<u1"),
        "torch.BoolStorage": np.dtype(bool),
    }


def open_torch(path: Path) -> Source:
    """A `.pt` partition, or `torch.save` of a dict of tensors; its pickle is never run.

    Raises:
        InputError: it is neither.
    """
    try:
        return open_partition(path, "pt")
    except InputError as error:
        refused = error
    data = mapped_file(path)
    try:
        archive = Archive(lambda at, size: bytes(data[at : at + size]), len(data))
        if "byteorder" in archive and archive.read("byteorder", 16) != b"little":
            raise refused
        found = follow(archive.read(PICKLE, MAX_PICKLE_BYTES), _AnyTensors(), MAX_PICKLE_BYTES)
        if not isinstance(found, dict):
            raise refused
        tensors = {
            str(name): _placed(str(name), tensor, archive, data) for name, tensor in found.items()
        }
    except LayoutError as error:
        raise refused from error
    fields = [
        f for name, t in tensors.items() if t.ndim for f in array_fields(name, t, t.dtype, t.shape)
    ]
    return Source(path, "tensors (pt)", keyed(fields))


def _placed(name: str, tensor: Any, archive: Archive, data: memoryview) -> Array:
    """A tensor where it lies in the file, whatever its strides."""
    if not isinstance(tensor, StoredTensor):
        raise LayoutError(f"{name!r} is a {type(tensor).__name__}, not a tensor")
    storage = tensor.storage
    member = archive.member(f"data/{storage.key}")
    check_bounds(name, tensor, member)
    stored = np.frombuffer(data, storage.dtype, storage.elements, member.offset)
    strides = [step * storage.dtype.itemsize for step in tensor.stride]
    return as_strided(stored[tensor.offset :], tensor.shape, strides, writeable=False)
