"""The native partition layout: one safetensors file of equally long columns.

Written here column by column, to the byte as the safetensors library would, which copies all of it
first. Read by byte range: the header of a safetensors file says where each tensor lies, and the
rows of a C-ordered tensor are contiguous. The header's metadata also hold a CRC-32 of every 64 rows
of every column, so that a range can be checked.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, Bands, bands_text, check_bands, named_bands
from cosmic.contracts.columns import Checksums, Header, Tensor, check_columns
from cosmic.contracts.text_ids import check_ids, stored_ids
from cosmic.errors import InputError, Problem

MAX_HEADER_BYTES = 1 << 20
CHECKSUM_ROWS = 64
CHECKSUM_KEY = "crc32."
FORMAT = "cosmic-partition"
PIXEL_SCALE = "pixel_scale_arcsec"
HINT = "pack it again with `cosmic data pack`"
BANDS_KEY = "bands"
MEANING = {"image_unit": "nanomaggy", "mag_unit": "asinh mag (AB)"}
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
}

DTYPES_IN_FILES = ("I64", "F64", "F32", "U8")  # the order in which the library writes tensors


Column = NDArray[Any] | Sequence[NDArray[Any]]
Parts = list[NDArray[Any]]  # contiguous rows of one column, one array after the other


def write_partition(
    path: Path,
    columns: Mapping[str, Column],
    *,
    pixel_scale_arcsec: float | None = 0.396,
    bands: Bands = BANDS,
) -> None:
    """Write one native partition; equal columns give equal bytes.

    Args:
        path: File to write.
        columns: `image` float32 (N, B, H, W) in nanomaggies, `mag` and `mag_err` float32 (N, B) in
            asinh magnitudes, B bands; `object_id` int64 (N,) or, as text, `S` (N,), `ra` and `dec`
            float64 (N,) in degrees, and optionally `z_spec` float32 (N,). A column may come as
            several arrays whose rows follow each other; they are not copied together.
        pixel_scale_arcsec: Side of a pixel; None: it is not known.
        bands: The B bands, in order.

    Raises:
        ValueError: a column is missing, unknown, or of the wrong dtype or shape.
        InputError: a text can't be an id; see `cosmic.contracts.text_ids`.
    """
    parts = {name: _parts(name, column, path) for name, column in columns.items()}
    found = {name: (column[0].dtype, _shape(column)) for name, column in parts.items()}
    problems = check_columns(found, n_bands=len(bands))
    if problems:
        raise ValueError("; ".join(str(p) for p in problems))
    metadata = {
        "format": FORMAT,
        "version": "1",
        BANDS_KEY: bands_text(bands),
        **MEANING,
        **({} if pixel_scale_arcsec is None else {PIXEL_SCALE: str(pixel_scale_arcsec)}),
        "crc32_rows": str(CHECKSUM_ROWS),
        **{CHECKSUM_KEY + name: _checksums(column) for name, column in parts.items()},
    }
    order = sorted(parts, key=lambda n: (DTYPES_IN_FILES.index(_dtype(parts[n])), n))
    with path.open("wb") as file:
        file.write(_packed_header(_described(parts, order) | {"__metadata__": metadata}))
        for part in (part for name in order for part in parts[name]):
            file.write(part.reshape(-1).view(np.uint8).data)  # the library would copy it first


def _parts(name: str, column: Column, path: Path) -> Parts:
    arrays = [column] if isinstance(column, np.ndarray) else list(column)
    kinds = {(part.dtype, part.shape[1:]) for part in arrays}
    if len(kinds) != 1:
        raise ValueError(f"parts of {name} are not all of one dtype and shape: {kinds}")
    return [np.ascontiguousarray(_stored(part, path)) for part in arrays]


def _dtype(parts: Parts) -> str:
    return next(name for name, dtype in DTYPES.items() if dtype == parts[0].dtype)


def _shape(parts: Parts) -> tuple[int, ...]:
    return (sum(map(len, parts)), *parts[0].shape[1:])


def _described(columns: Mapping[str, Parts], order: Sequence[str]) -> dict[str, Any]:
    """The entries of a safetensors header, of columns that follow each other in this order."""
    sizes = (sum(part.nbytes for part in columns[name]) for name in order)
    ends = np.cumsum([0, *sizes]).tolist()
    return {
        name: {
            "dtype": _dtype(columns[name]),
            "shape": list(_shape(columns[name])),
            "data_offsets": [begin, end],
        }
        for name, (begin, end) in zip(order, pairwise(ends), strict=True)
    }


def _stored(column: NDArray[Any], path: Path) -> NDArray[Any]:
    if column.dtype.kind != "S":
        return column
    check_ids(column, str(path))
    return stored_ids(column)


def canonical(file: bytes) -> bytes:
    """The same safetensors file with its header in one order: the library's varies."""
    header, base = _canonical_header(file)
    return header + file[base:]


def _canonical_header(file: bytes) -> tuple[bytes, int]:
    """The header in one order, and where the tensors behind it begin in the file as it is."""
    (length,) = struct.unpack_from("<Q", file)
    return _packed_header(json.loads(file[8 : 8 + length])), 8 + length


def _packed_header(entries: Mapping[str, Any]) -> bytes:
    header = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    header += " " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header.encode()


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
        metadata = entries.pop("__metadata__", {})
        tensors = {name: _tensor(entry, base) for name, entry in entries.items()}
        checksums = _read_checksums(metadata, tensors)
        pixel_arcsec = _pixel_arcsec(metadata)
        bands = _bands(metadata)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return [Problem(where, f"not a safetensors file: {error}", None, HINT, "bad-partition")]
    if isinstance(bands, InputError):
        return [Problem(where, bands.message, None, HINT, "bad-partition")]
    found = {n: (t.dtype, t.shape) for n, t in tensors.items()}
    problems = check_columns(found, where, n_bands=len(bands))
    ends = [t.offset + t.row_bytes * t.shape[0] for t in tensors.values() if t.shape]
    if ends and max(ends) != file_bytes:
        message = f"{file_bytes} bytes long, but its header describes {max(ends)}"
        problems.append(
            Problem(where, message, file_bytes, "truncated? upload it again", "bad-partition")
        )
    problems += _other_meaning(metadata, where)
    if problems:
        return problems
    return Header(tensors["object_id"].shape[0], tensors, checksums, pixel_arcsec, bands)


def _bands(metadata: Mapping[str, str]) -> Bands | InputError:
    """The bands that the file says, or what is wrong with them."""
    try:
        return check_bands(named_bands(str(metadata.get(BANDS_KEY, bands_text(BANDS)))))
    except InputError as error:
        return error


def _pixel_arcsec(metadata: Mapping[str, str]) -> float | None:
    """Side of a pixel, if the file says it and it can be one."""
    said = float(metadata.get(PIXEL_SCALE, "nan"))
    return said if 0 < said < math.inf else None


def _other_meaning(metadata: Mapping[str, str], where: str) -> list[Problem]:
    """Whatever a file says of its own units that a partition's aren't."""
    hint = "pack it with `cosmic data pack`, which puts them right"
    said = {key: metadata.get(key, want) for key, want in MEANING.items()}
    return [
        Problem(where, f"its {key} is {v!r}, not {MEANING[key]!r}", v, hint, "bad-partition")
        for key, v in said.items()
        if v != MEANING[key]
    ]


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
    return 8 + length, entries


def _tensor(entry: dict[str, Any], base: int) -> Tensor:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"dtype {entry['dtype']} (the layout uses {', '.join(DTYPES)})")
    shape = tuple(int(n) for n in entry["shape"])
    begin, end = (int(n) for n in entry["data_offsets"])
    tensor = Tensor(DTYPES[entry["dtype"]], shape, base + begin)
    described = math.prod(shape) * tensor.dtype.itemsize
    if min(shape, default=0) < 0 or begin < 0 or end - begin != described:
        raise ValueError(f"tensor of shape {list(shape)} occupies {end - begin} bytes")
    return tensor


def _checksums(parts: Parts) -> str:
    """The CRC-32 of each `CHECKSUM_ROWS` rows, eight hexadecimal digits each."""
    rows = _shape(parts)[0]
    sums = [0] * -(-rows // CHECKSUM_ROWS)
    row = 0
    for part in parts:
        first = -(-row // CHECKSUM_ROWS) * CHECKSUM_ROWS
        ends = {row, row + len(part), *range(first, row + len(part), CHECKSUM_ROWS)}
        for begin, end in pairwise(sorted(ends)):
            group = begin // CHECKSUM_ROWS
            sums[group] = zlib.crc32(part[begin - row : end - row].data, sums[group])
        row += len(part)
    return "".join(f"{each:08x}" for each in sums)


def _read_checksums(metadata: Any, tensors: dict[str, Tensor]) -> Checksums | None:
    """The checksums that a header holds; files of other writers have none."""
    if not isinstance(metadata, dict):
        raise TypeError("its metadata are not a JSON object")
    if "crc32_rows" not in metadata:
        return None
    rows = int(metadata["crc32_rows"])
    if not 1 <= rows <= CHECKSUM_ROWS:
        raise ValueError(f"checksums of {rows} rows each (at most {CHECKSUM_ROWS})")
    values = {}
    for name, tensor in tensors.items():
        digits = metadata[CHECKSUM_KEY + name]
        if not tensor.shape or len(digits) != 8 * -(-tensor.shape[0] // rows):
            raise ValueError(f"{len(digits) // 8} checksums of {name}")
        values[name] = tuple(int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
    return Checksums(rows, values)
