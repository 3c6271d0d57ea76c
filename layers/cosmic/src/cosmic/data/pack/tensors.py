"""Tensors by name: safetensors and `torch.save` of a dict, whichever program wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import as_strided

from cosmic.data.native import FORMAT
from cosmic.data.pack.bands import listed_beside, with_bands
from cosmic.data.pack.partitions import mapped_file, open_partition
from cosmic.data.pack.source import Array, Field, Source, Values, array_fields, keyed, unreadable
from cosmic.data.pt import check_bounds
from cosmic.data.torch_pickle import MAX_PICKLE_BYTES, STORAGES, Machine, StoredTensor, follow
from cosmic.data.torch_zip import PICKLE, Archive, LayoutError
from cosmic.errors import InputError, InvalidInput

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
        fields = with_bands(fields, metadata)
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
        hint = "convert it to float32 or int64"
        message = f"{path}: {name} is {dtype}, which is not supported"
        raise InputError(message, code="bad-partition", hint=hint)

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

    def __init__(self) -> None:
        super().__init__()
        self._do["BINFLOAT"] = self._stack.append  # of notes, such as the side of a pixel

    def _reduced(self, callee: Any, arguments: Any) -> Any:
        """An OrderedDict may be what holds the tensors, not only a tensor's hooks."""
        found = super()._reduced(callee, arguments)
        return {} if found is None else found


def open_torch(path: Path) -> Source:
    """A `.pt` partition, or `torch.save` of a dict of tensors and dicts; its pickle is never run.

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
    except LayoutError as error:
        raise _refused(path, refused, error) from error
    if not isinstance(found, dict):
        raise refused
    try:
        fields = _of_dict(found, "", archive, data)
    except LayoutError as error:
        raise unreadable(path, error) from error
    said = {name: value for name, value in found.items() if isinstance(value, str | int | float)}
    fields = with_bands(listed_beside(fields), said)
    return Source(path, "tensors (pt)", keyed(fields), said)


def _refused(path: Path, as_partition: InputError, error: LayoutError) -> InputError:
    """The error of a file that can't be read with all usual types either."""
    problems = as_partition.problems if isinstance(as_partition, InvalidInput) else ()
    hint = problems[0].hint if problems else as_partition.hint
    return InputError(f"{path}: not a partition: {error}", code="bad-partition", hint=hint)


def _of_dict(found: Mapping[str, Any], at: str, archive: Archive, data: memoryview) -> list[Field]:
    """Tensors and lists of texts or whole numbers, also in dicts within the dict; notes are not."""
    place = {"place": f"dict {at}", "place_names": (at,)} if at else {}
    fields: list[Field] = []
    for name, value in found.items():
        if isinstance(value, dict):
            fields += _of_dict(value, f"{at}/{name}" if at else name, archive, data)
            continue
        array = _listed(value)
        if isinstance(value, StoredTensor) and value.shape:
            array = _placed(name, value, archive, data)
        if array is not None:
            fields += array_fields(name, array, array.dtype, array.shape, **place)
    return fields


def _listed(value: Any) -> Array | None:
    """A list or tuple of texts or of numbers as an array; None: it is neither."""
    if not isinstance(value, list | tuple) or not value:
        return None
    kinds = {type(each) for each in value}
    if kinds == {int}:
        return np.array(value, np.int64)
    if kinds == {str}:
        return np.array(value, "U")
    return np.array(value, np.float64) if kinds <= {int, float, type(None)} else None


def _placed(name: str, tensor: StoredTensor, archive: Archive, data: memoryview) -> Array:
    """A tensor where it lies in the file, whatever its strides."""
    storage = tensor.storage
    member = archive.member(f"data/{storage.key}")
    check_bounds(name, tensor, member)
    stored = np.frombuffer(data, storage.dtype, storage.elements, member.offset)
    strides = [step * storage.dtype.itemsize for step in tensor.stride]
    return as_strided(stored[tensor.offset :], tensor.shape, strides, writeable=False)
