"""A checkpoint of another program becomes one of ours: the same numbers, none of the code."""

from __future__ import annotations

import hashlib
import math
import mmap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.data.torch_pickle import StoredTensor
from cosmic.data.torch_zip import PICKLE, Archive, LayoutError
from cosmic.errors import InputError
from cosmic.model.architecture import AstroMAEConfig, tensor_shapes
from cosmic.model.checkpoint import (
    ErrorTable,
    Provenance,
    Weights,
    load_checkpoint,
    pack_checkpoint,
    write_checkpoint,
)
from cosmic.model.convert.astromae import check_attributes, config_of, heads_of, weights_of
from cosmic.model.convert.modules import Found, find_tensors
from cosmic.model.convert.objects import MAX_PICKLE_BYTES, OTHER, read_objects

ONES = ("softening", "image_scale", "mag_scale", "z_scale")
UNKNOWN = {
    "z_phot_err": "was never calibrated: null in the catalogue",
    "z_range": "the redshifts of the training are not told: no object is flagged OUT_OF_RANGE",
    "training_data": "not told",
}
HINT = (
    "a checkpoint is what torch.save (1.6 or later) wrote of an AstroMAE, whole or its "
    "state_dict(); where its classes are at hand, torch.save(model.state_dict(), path) makes one"
)


@dataclass(frozen=True)
class Conversion:
    """What was done.

    Attributes:
        source_sha256: Of the file that was read.
        kind: Class of the module, or `state_dict`.
        wrappers: What it was wrapped in.
        left_out: Tensors that the model does not use.
        added: Tensors that the file lacks, at the value that changes nothing.
        sha256: Of the file that was written.
    """

    source_sha256: str
    kind: str
    wrappers: tuple[str, ...]
    config: AstroMAEConfig
    parameters: int
    left_out: tuple[str, ...]
    added: tuple[str, ...]
    sha256: str
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The conversion as plain JSON."""
        return {**asdict(self), "unknown": UNKNOWN}


def convert(
    source: Path, out: Path, *, name: str | None = None, heads: int | None = None
) -> Conversion:
    """Convert a checkpoint that torch saved.

    Args:
        source: A module saved whole (plain or wrapped in DataParallel), or a state dict.
        out: The safetensors file to write.
        name: The model's name in catalogues; the source's file name if None.
        heads: Attention heads, if the file doesn't tell.

    Raises:
        InputError: it can't be read, or is not one; the message says what was found.
    """
    raw = _mapped(source)
    try:
        found, config, state, left_out = _read(raw, heads)
    except LayoutError as error:
        message = f"{source} can't be converted: {error}"
        raise InputError(message, code="checkpoint-invalid", hint=HINT) from error
    added = _added(config, state)
    digest = hashlib.sha256(raw).hexdigest()
    provenance = Provenance(name or source.stem, "", None, None, None, converted_from=digest)
    data = pack_checkpoint(config, state | added, provenance, _no_errors())
    checked = load_checkpoint(data)
    write_checkpoint(out, data)
    return Conversion(
        source_sha256=digest,
        kind=found.kind,
        wrappers=found.wrappers,
        config=config,
        parameters=_count(state),
        left_out=tuple(left_out),
        added=tuple(added),
        sha256=checked.sha256,
        bytes=len(data),
    )


def _mapped(path: Path) -> memoryview:
    try:
        if not path.stat().st_size:
            return memoryview(b"")
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", code="not-found") from error


def _read(raw: memoryview, heads: int | None) -> tuple[Found, AstroMAEConfig, Weights, list[str]]:
    archive = Archive(lambda at, length: bytes(raw[at : at + length]), len(raw))
    if "byteorder" in archive and archive.read("byteorder", 16) != b"little":
        raise LayoutError("written by a big-endian machine")
    found = find_tensors(read_objects(archive.read(PICKLE, MAX_PICKLE_BYTES)))
    tensors, left_out = weights_of(found)
    config = config_of(tensors, heads_of(found) or heads)
    check_attributes(found, config)
    return found, config, _weights(tensors, archive, raw), left_out


def _weights(tensors: Mapping[str, StoredTensor], archive: Archive, raw: memoryview) -> Weights:
    """The tensors' values; never more bytes than the file has."""
    left, state = len(raw), {}
    for name, tensor in tensors.items():
        left -= math.prod(tensor.shape) * tensor.storage.dtype.itemsize
        if left < 0:
            raise LayoutError("its tensors share storages, and would be larger than the file")
        values = _values(name, tensor, archive, raw)
        counts = name.endswith("num_batches_tracked")
        state[name] = np.array(values, np.int64 if counts else np.float32, order="C")
    return state


def _values(name: str, tensor: StoredTensor, archive: Archive, raw: memoryview) -> NDArray[Any]:
    storage, shape, stride = tensor.storage, tensor.shape, tensor.stride
    if storage.dtype == OTHER:
        raise LayoutError(f"{name} has numbers of a type that is not supported: use float32")
    member = archive.member(f"data/{storage.key}")
    size = storage.dtype.itemsize
    if storage.elements * size != member.size or len(shape) != len(stride):
        raise LayoutError(f"{name} has {storage.elements} elements in {member.size} bytes")
    last = sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if not all(shape) or tensor.offset + last >= storage.elements:
        raise LayoutError(f"{name} is empty, or reaches beyond its storage")
    flat = np.frombuffer(raw[member.offset : member.offset + member.size], storage.dtype)
    steps = [s * size for s in stride]
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], shape, steps, writeable=False)


def _added(config: AstroMAEConfig, state: Weights) -> Weights:
    """What a published checkpoint lacks: input and output are taken as they are."""
    return {
        name: np.full(shape, name.rpartition(".")[2] in ONES, _dtype(name))
        for name, shape in tensor_shapes(config).items()
        if name not in state
    }


def _dtype(name: str) -> type[np.generic]:
    return np.int64 if name.endswith("num_batches_tracked") else np.float32


def _count(state: Weights) -> int:
    """Numbers in all parameters, which buffers are not."""
    buffers = ("running_mean", "running_var", "num_batches_tracked", "z_shift", "z_scale")
    return sum(
        values.size
        for name, values in state.items()
        if not name.startswith("normalise.") and name.rpartition(".")[2] not in buffers
    )


def _no_errors() -> ErrorTable:
    """A table that gives no error at all: none was calibrated."""
    nothing = np.full(1, np.nan, np.float32)
    return ErrorTable(np.zeros(1, np.float32), nothing, nothing)
