"""The header of a checkpoint: what can be checked of a model before a rank is started.

Without the model's own package, which `init` doesn't have.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from cosmic.contracts.bands import BANDS, Bands, check_bands, named_bands
from cosmic.errors import InputError

FORMAT = "cosmic-checkpoint"
VERSION = "1"
HINT = "`cosmic model train` and `cosmic model convert` write safetensors checkpoints"
MAX_HEADER_BYTES = 1 << 20
DOMAIN = "domain"  # key of the metadata of a checkpoint that knows its training's domain
BAND_NAMES = "bands"  # key of the metadata of a checkpoint whose bands are not u, g, r, i, z
ARCHITECTURE = "architecture"  # key of the metadata that every checkpoint has
PZ = "pz"  # key of the metadata of a checkpoint that is calibrated for quantiles of p(z)


def refused(message: str, hint: str = "") -> InputError:
    """The error of a file that is no checkpoint."""
    return InputError(message, code="checkpoint-invalid", hint=hint)


def parse_header(start: memoryview, file_bytes: int) -> tuple[dict[str, Any], int]:
    """The file's header, and the offset of the tensors behind it.

    Args:
        start: The file's first bytes: all, or at least 8 and the header.
        file_bytes: Size of the whole file.

    Raises:
        InputError: it is not a safetensors file.
    """
    try:
        (length,) = struct.unpack_from("<Q", start)
        fits = length <= min(MAX_HEADER_BYTES, file_bytes - 8)
        header = json.loads(bytes(start[8 : 8 + length])) if fits else None
    except (ValueError, RecursionError, struct.error) as error:
        raise refused(f"not a safetensors file: {error}", HINT) from error
    if not isinstance(header, dict):
        raise refused("not a safetensors file", HINT)
    return header, 8 + length


def take_metadata(header: dict[str, Any]) -> dict[str, str]:
    """Take the metadata out of a header, leaving the tensors.

    Raises:
        InputError: there are none, or they are not those of a checkpoint of this version.
    """
    found = header.pop("__metadata__", None)
    if not isinstance(found, dict):
        raise refused("not a safetensors file with metadata", HINT)
    for key, want in (("format", FORMAT), ("version", VERSION)):
        if found.get(key) != want:
            raise refused(f"{key} is {found.get(key)!r}, expected {want!r}", HINT)
    return found


def check_start(start: memoryview, file_bytes: int) -> dict[str, str]:
    """Check that a file begins as a checkpoint does, and is as long as its header says.

    Returns:
        Its metadata.

    Raises:
        InputError: it doesn't, or isn't.
    """
    header, base = parse_header(start, file_bytes)
    metadata = take_metadata(header)
    try:
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise refused(f"tensors can't be read: {error!r}", HINT) from error
    if base + end != file_bytes:
        hint = "truncated? upload it again"
        raise refused(f"{file_bytes} bytes long, but its header describes {base + end}", hint)
    return metadata


def bands_in(metadata: dict[str, str]) -> Bands:
    """The bands that a model takes, in order.

    Raises:
        InputError: it takes another number of bands than it names.
    """
    bands = check_bands(named_bands(metadata[BAND_NAMES])) if BAND_NAMES in metadata else BANDS
    try:
        count = json.loads(metadata.get(ARCHITECTURE, "{}")).get("bands", len(bands))
    except (ValueError, AttributeError):
        return bands  # who reads the whole checkpoint says what is wrong
    if count != len(bands):
        message = f"takes {count} bands, but names {', '.join(bands)}"
        raise refused(message, "write it with `cosmic model train --data`, which names them")
    return bands
