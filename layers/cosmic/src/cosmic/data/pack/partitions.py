"""Files that a run reads as they are: native partitions and `.pt`, by the pipeline's own reader."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmic.contracts.columns import Header, Tensor
from cosmic.contracts.contract import FormatName
from cosmic.contracts.text_ids import restored_ids
from cosmic.data.formats import read_header
from cosmic.data.pack.source import Field, Source, Values, unreadable
from cosmic.errors import InvalidInput

UNITS = {"image": "nanomaggy", "mag": "mag", "mag_err": "mag", "ra": "deg", "dec": "deg"}
CHECK_ROWS = 4096
BY_BAND = ("image", "mag", "mag_err")


def open_partition(path: Path, layout: FormatName) -> Source:
    """A native partition or a `.pt` file; its pickle is never run.

    Raises:
        InvalidInput: everything that is wrong with its header.
        InputError: it is empty.
    """
    data = mapped_file(path)
    header = _header(path, layout, data)
    fields = {
        name: Field(
            name=name,
            rows=header.rows,
            dtype=str(tensor.dtype),
            kind=tensor.dtype.kind,
            row_shape=tensor.shape[1:],
            read=_reader(data, tensor),
            unit=_unit(layout, name),
            bands=header.bands if layout == "safetensors" and name in BY_BAND else (),
        )
        for name, tensor in header.tensors.items()
    }
    if header.id_bytes is not None:
        fields["object_id"] = _text_ids(fields["object_id"])
    return Source(path, layout, fields, _metadata(layout, data, header))


def _text_ids(stored: Field) -> Field:
    def read(start: int, stop: int) -> Values:
        return Values(restored_ids(stored.read(start, stop).data))

    return replace(stored, dtype="text", kind="S", row_shape=(), read=read)


def damaged(path: Path) -> list[str] | None:
    """The columns of a native partition that don't have the header's checksums; None: it has none.

    Raises:
        InvalidInput: everything that is wrong with its header.
    """
    from cosmic.data.fetch import damaged_columns  # it brings boto3, which takes its time

    data = mapped_file(path)
    header = _header(path, "safetensors", data)
    if header.checksums is None:
        return None
    step = CHECK_ROWS // header.checksums.rows * header.checksums.rows
    bad: set[str] = set()
    for first in range(0, header.rows, step):
        end = min(first + step, header.rows)
        found = {name: _bytes(data, t, first, end) for name, t in header.tensors.items()}
        bad.update(damaged_columns(header, found, first, end))
    return sorted(bad)


def mapped_file(path: Path) -> memoryview:
    """A file's bytes, mapped.

    Raises:
        InputError: it can't be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _header(path: Path, layout: FormatName, data: memoryview) -> Header:
    found = read_header(layout, lambda at, size: bytes(data[at : at + size]), len(data), str(path))
    if not isinstance(found, Header):
        raise InvalidInput(found)
    return found


def _bytes(data: memoryview, tensor: Tensor, start: int, stop: int) -> memoryview:
    at, size = tensor.byte_range(start, stop)
    return data[at : at + size]


def _reader(data: memoryview, tensor: Tensor) -> Callable[[int, int], Values]:
    return lambda start, stop: Values(np.asarray(tensor.rows(_bytes(data, tensor, start, stop))))


def _unit(layout: FormatName, name: str) -> str:
    return UNITS.get(name, "") if layout == "safetensors" else ""


def _metadata(layout: FormatName, data: memoryview, header: Header) -> dict[str, Any]:
    """What the header of a native partition says, but for the checksums themselves."""
    if layout != "safetensors":
        return {}
    (length,) = struct.unpack_from("<Q", data)
    said = json.loads(bytes(data[8 : 8 + length])).get("__metadata__", {})
    return {k: v for k, v in said.items() if not k.startswith("crc32.")}
