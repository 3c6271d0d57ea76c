"""CAI's partition layout: `torch.save` of a TensorDataset of images, magnitudes and redshifts.

Read by byte range like the native one: a tensor's bytes lie in the file as they are. The pickle
that says where is never run (see `torch_pickle`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from cosmic.contracts.columns import COLUMNS, ROWS_OF_A_PARTITION, Header, Tensor, check_columns
from cosmic.data.torch_pickle import MAX_PICKLE_BYTES, Dataset, StoredTensor, read_pickle
from cosmic.data.torch_zip import PICKLE, Archive, LayoutError, Member
from cosmic.errors import Problem

ORDER = ("image", "mag", "z_spec")
NAMES = {
    **dict.fromkeys(("image", "images"), "image"),
    **dict.fromkeys(("mag", "magnitude", "magnitudes"), "mag"),
    **dict.fromkeys(("z_spec", "redshift", "redshifts"), "z_spec"),
}
REQUIRED = ("image", "mag")
HINT = (
    "save TensorDataset(images, magnitudes, redshifts), or a list or dict of them, by torch.save; "
    "each a contiguous float32 or float64 tensor"
)


def read_header(
    read: Callable[[int, int], bytes], file_bytes: int, where: str
) -> Header | list[Problem]:
    """Read and check what a `.pt` partition holds.

    Args:
        read: Returns `length` bytes from `offset`: `read(offset, length)`.
        file_bytes: The file's size.
        where: The file's URI, for messages.

    Returns:
        The header, or everything that is wrong with it.
    """
    try:
        archive = Archive(read, file_bytes)
        if "byteorder" in archive and archive.read("byteorder", 16) != b"little":
            raise LayoutError("written by a big-endian machine")
        stored = _by_column(read_pickle(archive.read(PICKLE, MAX_PICKLE_BYTES)))
        tensors = {name: _placed(name, tensor, archive) for name, tensor in stored.items()}
    except LayoutError as error:
        return [Problem(where, f"not a partition: {error}", None, HINT, "bad-partition")]
    found = {n: (COLUMNS[n].dtype, t.shape) for n, t in tensors.items()}
    problems = check_columns(found, where, REQUIRED)
    if problems:
        return problems
    rows = tensors["image"].shape[0]
    if rows > ROWS_OF_A_PARTITION:
        message = f"{rows} rows; their object_ids leave room for {ROWS_OF_A_PARTITION}"
        return [Problem(where, message, rows, "split it", "bad-partition")]
    return Header(rows, tensors)


def _by_column(content: Any) -> Mapping[str, StoredTensor]:
    """The tensors by the column that they are: by position in a sequence, by name in a dict."""
    if isinstance(content, Dataset):
        content = content.tensors
    if isinstance(content, (list, tuple)):
        if not 2 <= len(content) <= len(ORDER):
            raise LayoutError(f"a sequence of {len(content)} items, not of two or three tensors")
        content = dict(zip(ORDER, content, strict=False))
    if not isinstance(content, dict):
        raise LayoutError(f"it holds one {type(content).__name__}")
    columns: dict[str, StoredTensor] = {}
    for name, tensor in content.items():
        if name not in NAMES or NAMES[name] in columns:
            raise LayoutError(
                f"{name[:80]!r} is not the name of a column; the names are {', '.join(NAMES)}"
            )
        if not isinstance(tensor, StoredTensor):
            raise LayoutError(f"{name!r} is a {type(tensor).__name__}, not a tensor")
        columns[NAMES[name]] = tensor
    return columns


def _placed(name: str, tensor: StoredTensor, archive: Archive) -> Tensor:
    """Where a tensor's rows lie in the file; a column of shape (N, 1) counts as (N,)."""
    storage = tensor.storage
    member = archive.member(f"data/{storage.key}")
    check_bounds(name, tensor, member)
    shape, stride = tensor.shape, tensor.stride
    if name == "z_spec" and len(shape) == 2 and shape[1] == 1:
        shape, stride = shape[:1], stride[:1]
    axes = _stored_order(name, shape, stride)
    offset = member.offset + tensor.offset * storage.dtype.itemsize
    return Tensor(storage.dtype, shape, offset, axes)


def check_bounds(name: str, tensor: StoredTensor, member: Member) -> None:
    """Check that a tensor lies within its storage, and that within the file.

    Raises:
        LayoutError: it does not.
    """
    shape, stride = tensor.shape, tensor.stride
    if len(shape) != len(stride):
        raise LayoutError(f"{name} has shape {shape} and strides {stride}")
    if not 1 <= len(shape) <= 4:
        raise LayoutError(f"{name} has {len(shape)} dimensions")
    if tensor.storage.elements * tensor.storage.dtype.itemsize != member.size:
        raise LayoutError(
            f"{name} has a storage of {tensor.storage.elements} elements in {member.size} bytes"
        )
    last = sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if math.prod(shape) and tensor.offset + last >= tensor.storage.elements:
        raise LayoutError(f"{name} reaches beyond its storage")


def _stored_order(
    name: str, shape: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The order in which a row's axes are stored, if rows lie one after the other without gaps.

    Images whose axes were permuted before they were saved (H, W, band in the file) are such.
    """
    inner = shape[1:]
    axes = sorted(range(len(inner)), key=lambda a: (-stride[1 + a], a))
    expected = 1
    for axis in reversed(axes):
        if inner[axis] > 1 and stride[1 + axis] != expected:
            raise LayoutError(f"{name} has gaps: shape {shape}, strides {stride}")
        expected *= inner[axis]
    if shape[0] > 1 and stride[0] != expected:
        raise LayoutError(
            f"{name}'s rows have gaps: shape {shape}, strides {stride}; save a clone()"
        )
    return None if axes == list(range(len(inner))) else tuple(axes)
