"""Checkpoints: one safetensors file with weights, architecture, provenance and error table.

Nothing is ever unpickled. A checkpoint is checked whole before a weight of it is used: its
SHA-256 if one is expected, its architecture, and each tensor's name, type and shape.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosmic.errors import InputError
from cosmic.inference.astromae import AstroMAE, AstroMAEConfig
from cosmic.partitions.native import canonical

FORMAT = "cosmic-checkpoint"
VERSION = "1"
MODEL_PREFIX = "model."
ERROR_TENSORS = ("error.z", "error.complete", "error.incomplete")
MAX_SHOWN = 8


@dataclass(frozen=True)
class ErrorTable:
    """Calibrated half-widths of the central 68 % of z_spec - z_phot, against z_phot.

    Attributes:
        z: Centres of the z_phot bins (B,) float32, ascending.
        complete: Half-width of objects with all bands and pixels (B,) float32, in redshift.
        incomplete: Half-width of objects that lack a band or a pixel (B,) float32.
    """

    z: NDArray[np.float32]
    complete: NDArray[np.float32]
    incomplete: NDArray[np.float32]


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from.

    Attributes:
        name: The model's name, as the catalogue shows it.
        training_data_sha256: Of the training columns, in order; empty if unknown.
        seed: Of the training run.
        z_min: Smallest redshift the model was trained on.
        z_max: Largest.
    """

    name: str
    training_data_sha256: str
    seed: int
    z_min: float
    z_max: float


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint.

    Attributes:
        config: The architecture.
        provenance: Name, training data, seed, redshift range.
        state: The model's tensors by name.
        errors: The z_phot_err table.
        sha256: Of the file.
    """

    config: AstroMAEConfig
    provenance: Provenance
    state: dict[str, Tensor]
    errors: ErrorTable
    sha256: str

    def build(self) -> AstroMAE:
        """The model, with these weights, ready to infer (evaluation mode, channels last)."""
        with torch.device("meta"):  # no time spent on initial values
            model = AstroMAE(self.config)
        model.load_state_dict(self.state, assign=True)
        model.eval()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model


def to_bytes(model: AstroMAE, provenance: Provenance, errors: ErrorTable) -> bytes:
    """A checkpoint as the bytes of its file; the same model gives the same bytes."""
    tensors = {MODEL_PREFIX + n: t.detach().contiguous() for n, t in model.state_dict().items()}
    table = (errors.z, errors.complete, errors.incomplete)
    for name, column in zip(ERROR_TENSORS, table, strict=True):
        tensors[name] = torch.from_numpy(np.ascontiguousarray(column, np.float32))
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": json.dumps({"type": "AstroMAE", **asdict(model.config)}, sort_keys=True),
        "provenance": json.dumps(asdict(provenance), sort_keys=True),
    }
    return canonical(safetensors.torch.save(tensors, metadata))


def save_checkpoint(path: Path, model: AstroMAE, provenance: Provenance, errors: ErrorTable) -> str:
    """Write a checkpoint: beside its place first, then renamed into it.

    Returns:
        The SHA-256 of the file.
    """
    data = to_bytes(model, provenance, errors)
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(data)
    beside.replace(path)
    return hashlib.sha256(data).hexdigest()


def load_checkpoint(data: bytes | Path, expected_sha256: str | None = None) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        data: The file's bytes, or its path.
        expected_sha256: What its SHA-256 has to be (hexadecimal, any case); None if not known.

    Raises:
        InputError: The checksum, the format, the architecture or a tensor is not as it should be;
            the message names what differs.
    """
    raw = data.read_bytes() if isinstance(data, Path) else data
    sha256 = hashlib.sha256(raw).hexdigest()
    if expected_sha256 is not None and expected_sha256.lower() != sha256:
        raise InputError(
            f"the checkpoint's sha256 is {sha256}, expected {expected_sha256}",
            code="checkpoint-checksum",
            hint="upload the checkpoint again, or correct the checksum in the manifest",
        )
    metadata = _metadata(raw)
    config = _config(metadata)
    provenance = _provenance(metadata)
    tensors = _tensors(raw)
    _compare(tensors, config)
    state = {
        name.removeprefix(MODEL_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(MODEL_PREFIX)
    }
    errors = ErrorTable(*(tensors[name].numpy() for name in ERROR_TENSORS))
    return Checkpoint(config, provenance, state, errors, sha256)


def _refuse(message: str, hint: str = "") -> InputError:
    return InputError(message, code="checkpoint-invalid", hint=hint)


def _metadata(raw: bytes) -> dict[str, str]:
    """The file's own metadata; safetensors gives it for files only, so read it here."""
    hint = "a cosmic checkpoint is a safetensors file written by `cosmic model train`"
    try:
        (length,) = struct.unpack_from("<Q", raw)
        header = json.loads(raw[8 : 8 + length]) if length <= len(raw) - 8 else None
    except (ValueError, struct.error) as error:
        raise _refuse(f"not a safetensors file: {error}", hint) from error
    found = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(found, dict):
        raise _refuse("not a safetensors file with metadata", hint)
    for key, want in (("format", FORMAT), ("version", VERSION)):
        if found.get(key) != want:
            raise _refuse(f"{key} is {found.get(key)!r}, expected {want!r}", hint)
    return found


def _json(metadata: dict[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata[key])
    except (KeyError, ValueError) as error:
        raise _refuse(f"metadata {key!r} is missing or not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _refuse(f"metadata {key!r} is {type(value).__name__}, expected an object")
    return value


def _config(metadata: dict[str, str]) -> AstroMAEConfig:
    found = _json(metadata, "architecture")
    kind = found.pop("type", None)
    if kind != "AstroMAE":
        raise _refuse(f"architecture is {kind!r}, expected 'AstroMAE'")
    known = {f.name for f in fields(AstroMAEConfig)}
    if set(found) != known:
        differ = ", ".join(sorted(set(found) ^ known))
        raise _refuse(f"architecture misses or adds: {differ}")
    try:
        widths = tuple(int(width) for width in found.pop("inception"))
        return AstroMAEConfig(**{k: int(v) for k, v in found.items()}, inception=widths)
    except (TypeError, ValueError) as error:
        raise _refuse(f"architecture can't be built: {error}") from error


def _provenance(metadata: dict[str, str]) -> Provenance:
    found = _json(metadata, "provenance")
    try:
        return Provenance(
            name=str(found["name"]),
            training_data_sha256=str(found["training_data_sha256"]),
            seed=int(found["seed"]),
            z_min=float(found["z_min"]),
            z_max=float(found["z_max"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _refuse(f"provenance is incomplete: {error!r}") from error


def _tensors(raw: bytes) -> dict[str, Tensor]:
    try:
        found = safetensors.torch.load(raw)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _refuse(f"tensors can't be read: {error}") from error
    return {name: tensor.clone() for name, tensor in found.items()}  # aligned, and our own


def _compare(found: dict[str, Tensor], config: AstroMAEConfig) -> None:
    """Compare names, types and shapes of all tensors with what the architecture needs."""
    with torch.device("meta"):
        want = {MODEL_PREFIX + n: t for n, t in AstroMAE(config).state_dict().items()}
    bins = tuple(found["error.z"].shape) if "error.z" in found else (1,)
    want |= {name: torch.empty(bins, device="meta") for name in ERROR_TENSORS}
    differ = [f"{name} is missing" for name in want if name not in found]
    differ += [f"{name} is unknown" for name in found if name not in want]
    for name in want.keys() & found.keys():
        got, need = _describe(found[name]), _describe(want[name])
        if got != need:
            differ.append(f"{name} is {got}, expected {need}")
    if differ:
        differ.sort()
        more = f", and {len(differ) - MAX_SHOWN} more" if len(differ) > MAX_SHOWN else ""
        raise _refuse(
            "tensors differ from the architecture: " + "; ".join(differ[:MAX_SHOWN]) + more,
            "the weights belong to another architecture",
        )


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
