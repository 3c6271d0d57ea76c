"""The native partition layout: one safetensors file of equally long columns.

Written with the safetensors library, read here by byte range: the header of a safetensors file
says where each tensor lies, and the rows of a C-ordered tensor are contiguous.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.errors import Problem

BANDS = ("u", "g", "r", "i", "z")
MAX_HEADER_BYTES = 1 << 20
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}


@dataclass(frozen=True)
class Column:
    """What a column must look like: dtype and the shape of one row (None: any length)."""

    dtype: np.dtype[Any]
    row_shape: tuple[int | None, ...]
    required: bool = True


COLUMNS = {
    "image": Column(np.dtype("<f4"), (len(BANDS), None, None)),
    "mag": Column(np.dtype("<f4"), (len(BANDS),)),
    "mag_err": Column(np.dtype("<f4"), (len(BANDS),)),
    "object_id": Column(np.dtype("<i8"), ()),
    "ra": Column(np.dtype("<f8"), ()),
    "dec": Column(np.dtype("<f8"), ()),
    "z_spec": Column(np.dtype("<f4"), (), required=False),
}


@dataclass(frozen=True)
class Tensor:
    """Where one column lies in the file: dtype, shape (rows first) and first byte."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def byte_range(self, start: int, stop: int) -> tuple[int, int]:
        """First byte and length of the rows from `start` up to and without `stop`."""
        return self.offset + start * self.row_bytes, (stop - start) * self.row_bytes


@dataclass(frozen=True)
class Header:
    """A partition's table of contents: rows and columns by name."""

    rows: int
    tensors: dict[str, Tensor]


def write_partition(
    path: Path, columns: Mapping[str, NDArray[Any]], *, pixel_scale_arcsec: float = 0.396
) -> None:
    """Write one native partition; equal columns give equal bytes.

    Args:
        path: File to write.
        columns: `image` float32 (N, 5, H, W) in nanomaggies, `mag` and `mag_err` float32 (N, 5) in
            asinh magnitudes, `object_id` int64 (N,), `ra` and `dec` float64 (N,) in degrees, and
            optionally `z_spec` float32 (N,).
        pixel_scale_arcsec: Side of a pixel.

    Raises:
        ValueError: a column is missing, unknown, or of the wrong dtype or shape.
    """
    from safetensors.numpy import save

    problems = check_columns({k: (v.dtype, v.shape) for k, v in columns.items()})
    if problems:
        raise ValueError("; ".join(str(p) for p in problems))
    metadata = {
        "format": "cosmic-partition",
        "version": "1",
        "bands": "".join(BANDS),
        "image_unit": "nanomaggy",
        "mag_unit": "asinh mag (AB)",
        "pixel_scale_arcsec": str(pixel_scale_arcsec),
    }
    contiguous = {name: np.ascontiguousarray(column) for name, column in columns.items()}
    path.write_bytes(canonical(save(contiguous, metadata=metadata)))


def canonical(file: bytes) -> bytes:
    """The same safetensors file with its header in one order: the library's varies."""
    (length,) = struct.unpack_from("<Q", file)
    header = json.dumps(json.loads(file[8 : 8 + length]), sort_keys=True, separators=(",", ":"))
    header += " " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header.encode() + file[8 + length :]


def check_columns(
    found: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]], where: str = ""
) -> list[Problem]:
    """Compare columns, as (dtype, shape) by name, with the layout; `where` names the file."""
    problems = [
        Problem(where, f"column {name!r} is missing", None, f"has {sorted(found)}", "bad-partition")
        for name, column in COLUMNS.items()
        if column.required and name not in found
    ]
    rows = {shape[0] if shape else 0 for _, shape in found.values()}
    if len(rows) > 1:
        lengths = {name: list(shape) for name, (_, shape) in found.items()}
        problems.append(
            Problem(
                where, "columns differ in length", lengths, "one row an object", "bad-partition"
            )
        )
    for name, (dtype, shape) in found.items():
        problems += _check_column(name, dtype, shape, where)
    return problems


def _check_column(
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], where: str
) -> list[Problem]:
    column = COLUMNS.get(name)
    if column is None:
        hint = f"the layout has {', '.join(COLUMNS)}"
        return [Problem(where, f"column {name!r} is unknown", name, hint, "bad-partition")]
    problems = []
    if dtype != column.dtype:
        problems.append(
            Problem(where, f"{name} is {dtype}", str(dtype), f"use {column.dtype}", "bad-partition")
        )
    row_shape = shape[1:]
    fits = len(row_shape) == len(column.row_shape) and all(
        want in (None, got) for want, got in zip(column.row_shape, row_shape, strict=True)
    )
    if not shape or not fits:
        want = ("rows", *("any" if n is None else n for n in column.row_shape))
        problems.append(
            Problem(
                where,
                f"{name} has shape {list(shape)}",
                list(shape),
                f"use ({', '.join(map(str, want))})",
                "bad-partition",
            )
        )
    return problems


def read_header(
    read: Callable[[int, int], bytes], file_bytes: int, where: str
) -> Header | list[Problem]:
    """Read and check a partition's header.

    Args:
        read: Returns `length` bytes from `offset`: `read(offset, length)`.
        file_bytes: The file's size.
        where: The file's URI, for messages.

    Returns:
        The header, or everything that is wrong with it.
    """
    try:
        base, entries = _read_entries(read, file_bytes)
        tensors = {name: _tensor(entry, base) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, struct.error) as error:
        hint = "pack it again with `cosmic data pack`"
        return [Problem(where, f"not a safetensors file: {error}", None, hint, "bad-partition")]
    problems = check_columns({n: (t.dtype, t.shape) for n, t in tensors.items()}, where)
    ends = [t.offset + t.row_bytes * t.shape[0] for t in tensors.values() if t.shape]
    if ends and max(ends) != file_bytes:
        message = f"{file_bytes} bytes long, but its header describes {max(ends)}"
        problems.append(
            Problem(where, message, file_bytes, "truncated? upload it again", "bad-partition")
        )
    if problems:
        return problems
    return Header(tensors["object_id"].shape[0], tensors)


def _read_entries(
    read: Callable[[int, int], bytes], file_bytes: int
) -> tuple[int, dict[str, dict[str, Any]]]:
    if file_bytes < 8:
        raise ValueError(f"only {file_bytes} bytes long")
    (length,) = struct.unpack("<Q", read(0, 8))
    if not 2 <= length <= min(MAX_HEADER_BYTES, file_bytes - 8):
        raise ValueError(f"header of {length} bytes in a file of {file_bytes}")
    entries = json.loads(read(8, length))
    if not isinstance(entries, dict):
        raise TypeError("header is not a JSON object")
    entries.pop("__metadata__", None)
    return 8 + length, entries


def _tensor(entry: dict[str, Any], base: int) -> Tensor:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"dtype {entry['dtype']} (the layout uses {', '.join(DTYPES)})")
    shape = tuple(int(n) for n in entry["shape"])
    begin, end = (int(n) for n in entry["data_offsets"])
    tensor = Tensor(DTYPES[entry["dtype"]], shape, base + begin)
    described = int(np.prod(shape, dtype=np.int64)) * tensor.dtype.itemsize
    if min(shape, default=0) < 0 or begin < 0 or end - begin != described:
        raise ValueError(f"tensor of shape {list(shape)} occupies {end - begin} bytes")
    return tensor
