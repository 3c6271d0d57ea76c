"""Checkpoints: one safetensors file with weights, architecture, provenance and error table.

Nothing is ever unpickled. A checkpoint is checked whole before a weight of it is used: its
SHA-256 if one is expected, its architecture, and each tensor's name, type and shape.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, Bands, bands_text
from cosmic.data.checkpoint_header import (
    ARCHITECTURE,
    BAND_NAMES,
    DOMAIN,
    FORMAT,
    PZ,
    VERSION,
    bands_in,
    parse_header,
    refused,
    take_metadata,
)
from cosmic.errors import InputError
from cosmic.model.architecture import AstroMAEConfig, tensor_shapes
from cosmic.model.domain import TENSORS as DOMAIN_TENSORS
from cosmic.model.domain import Domain, read_domain
from cosmic.model.pz import TENSORS as PZ_TENSORS
from cosmic.model.pz import QuantileTable, read_quantiles

if TYPE_CHECKING:
    from cosmic.model.astromae import AstroMAE

MODEL_PREFIX = "model."
ERROR_TENSORS = ("error.z", "error.complete", "error.incomplete")
OPTIONAL = (*DOMAIN_TENSORS, *PZ_TENSORS)
MAX_SHOWN = 8
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}

Weights = dict[str, NDArray[Any]]


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
        seed: Of the training run; None if unknown.
        z_min: Smallest redshift the model was trained on; None if unknown.
        z_max: Largest.
        converted_from: SHA-256 of the checkpoint that this one was made from; empty if of none.
    """

    name: str
    training_data_sha256: str
    seed: int | None
    z_min: float | None
    z_max: float | None
    converted_from: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The provenance as JSON; where nothing was converted, nothing is said of it."""
        found = asdict(self)
        return found if self.converted_from else {k: found[k] for k in list(found)[:-1]}


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint.

    Attributes:
        config: The architecture.
        provenance: Name, training data, seed, redshift range.
        state: The model's tensors by name, views of the file.
        errors: The z_phot_err table.
        sha256: Of the file.
        mapped: The file, where it is mapped.
        domain: Which objects are like those of the training; None if that isn't known.
        pz: What quantiles of p(z) are made of; None if it isn't calibrated for them.
        bands: That it takes, in order.
        compiled_in: A folder that may have its model compiled, if it is of the function's image.
    """

    config: AstroMAEConfig
    provenance: Provenance
    state: Weights
    errors: ErrorTable
    sha256: str
    mapped: mmap.mmap | None = None
    domain: Domain | None = None
    pz: QuantileTable | None = None
    bands: Bands = BANDS
    compiled_in: Path | None = None

    def let_go(self) -> None:
        """Give back the memory of a mapped file; what is looked at again is read again."""
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)


def to_bytes(
    model: AstroMAE,
    provenance: Provenance,
    errors: ErrorTable,
    domain: Domain | None = None,
    pz: QuantileTable | None = None,
    bands: Bands = BANDS,
) -> bytes:
    """A checkpoint as the bytes of its file; the same model gives the same bytes."""
    state = {n: t.detach().contiguous().numpy() for n, t in model.state_dict().items()}
    return pack_checkpoint(model.config, state, provenance, errors, domain, pz, bands)


def pack_checkpoint(
    config: AstroMAEConfig,
    state: Weights,
    provenance: Provenance,
    errors: ErrorTable,
    domain: Domain | None = None,
    pz: QuantileTable | None = None,
    bands: Bands = BANDS,
) -> bytes:
    """A checkpoint as the bytes of its file, from the model's tensors by name."""
    from safetensors.numpy import save

    from cosmic.data.native import canonical

    tensors = {MODEL_PREFIX + n: values for n, values in state.items()}
    table = (errors.z, errors.complete, errors.incomplete)
    for name, column in zip(ERROR_TENSORS, table, strict=True):
        tensors[name] = np.ascontiguousarray(column, np.float32)
    metadata = {} if bands == BANDS else {BAND_NAMES: bands_text(bands)}
    for key, part in ((DOMAIN, domain), (PZ, pz)):
        if part is not None:
            metadata[key] = json.dumps(part.facts(), sort_keys=True)
            tensors |= part.tensors()
    metadata |= {
        "format": FORMAT,
        "version": VERSION,
        ARCHITECTURE: json.dumps({"type": "AstroMAE", **asdict(config)}, sort_keys=True),
        "provenance": json.dumps(provenance.as_dict(), sort_keys=True),
    }
    return canonical(save(tensors, metadata))


def save_checkpoint(
    path: Path,
    model: AstroMAE,
    provenance: Provenance,
    errors: ErrorTable,
    domain: Domain | None = None,
    pz: QuantileTable | None = None,
    bands: Bands = BANDS,
) -> str:
    """Write a checkpoint: beside its place first, then renamed into it.

    Returns:
        The SHA-256 of the file.
    """
    data = to_bytes(model, provenance, errors, domain, pz, bands)
    write_checkpoint(path, data)
    return hashlib.sha256(data).hexdigest()


def write_checkpoint(path: Path, data: bytes) -> None:
    """Write a checkpoint's bytes: beside their place first, then renamed into it."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(data)
    beside.replace(path)


def load_checkpoint(
    data: bytes | bytearray | mmap.mmap | Path,
    expected_sha256: str | None = None,
    *,
    known_sha256: str | None = None,
) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        data: The file's bytes, also mapped, or its path; the weights stay where they are.
        expected_sha256: What its SHA-256 has to be (hexadecimal, any case); None if not known.
        known_sha256: What its SHA-256 is: then it isn't computed.

    Raises:
        InputError: The checksum, the format, the architecture or a tensor is not as it should be;
            the message names what differs.
    """
    data = _mapped(data) if isinstance(data, Path) else data
    raw = memoryview(data)
    sha256 = known_sha256 or hashlib.sha256(raw).hexdigest()
    if expected_sha256 is not None and expected_sha256.lower() != sha256:
        raise InputError(
            f"the checkpoint's sha256 is {sha256}, expected {expected_sha256}",
            code="checkpoint-checksum",
            hint="upload the checkpoint again, correct the checksum in the manifest, or, if it has "
            "none, submit it again",
        )
    header, base = parse_header(raw, len(raw))
    metadata = take_metadata(header)
    config, bands = _config(metadata), bands_in(metadata)
    provenance = _provenance(metadata)
    tensors = _tensors(header, raw[base:])
    _compare(tensors, config)
    state = {
        name.removeprefix(MODEL_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(MODEL_PREFIX)
    }
    errors = ErrorTable(*(tensors[name].copy() for name in ERROR_TENSORS))
    mapped = data if isinstance(data, mmap.mmap) else None
    domain = read_domain(metadata, tensors, bands)
    pz = read_quantiles(metadata, tensors)
    return Checkpoint(config, provenance, state, errors, sha256, mapped, domain, pz, bands)


def _mapped(path: Path) -> mmap.mmap | bytes:
    """A file's bytes, read from disk when they are first looked at."""
    if not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _json(metadata: dict[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata[key])
    except (KeyError, ValueError) as error:
        raise refused(f"metadata {key!r} is missing or not JSON: {error}") from error
    if not isinstance(value, dict):
        raise refused(f"metadata {key!r} is {type(value).__name__}, expected an object")
    return value


def _config(metadata: dict[str, str]) -> AstroMAEConfig:
    found = _json(metadata, ARCHITECTURE)
    kind = found.pop("type", None)
    if kind != "AstroMAE":
        raise refused(f"architecture is {kind!r}, expected 'AstroMAE'")
    known = {f.name for f in fields(AstroMAEConfig)}
    if set(found) != known:
        differ = ", ".join(sorted(set(found) ^ known))
        raise refused(f"architecture misses or adds: {differ}")
    try:
        widths = tuple(int(width) for width in found.pop("inception"))
        return AstroMAEConfig(**{k: int(v) for k, v in found.items()}, inception=widths)
    except (TypeError, ValueError) as error:
        raise refused(f"architecture can't be built: {error}") from error


def _provenance(metadata: dict[str, str]) -> Provenance:
    found = _json(metadata, "provenance")
    try:
        return Provenance(
            name=str(found["name"]),
            training_data_sha256=str(found["training_data_sha256"]),
            seed=None if found["seed"] is None else int(found["seed"]),
            z_min=None if found["z_min"] is None else float(found["z_min"]),
            z_max=None if found["z_max"] is None else float(found["z_max"]),
            converted_from=str(found.get("converted_from", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise refused(f"provenance is incomplete: {error!r}") from error


def _tensors(header: dict[str, Any], data: memoryview) -> Weights:
    """All tensors, as views of the file; the header is not trusted."""
    try:
        found = {name: _tensor(entry, data) for name, entry in header.items()}
        ends = [entry["data_offsets"][1] for entry in header.values()]
    except (KeyError, TypeError, ValueError) as error:
        raise refused(f"tensors can't be read: {error}") from error
    if max(ends, default=0) != len(data):
        raise refused(f"{len(data)} bytes of tensors, but the header describes {max(ends)}")
    return found


def _tensor(entry: dict[str, Any], data: memoryview) -> NDArray[Any]:
    dtype = DTYPES[entry["dtype"]]
    shape = tuple(int(n) for n in entry["shape"])
    begin, end = (int(n) for n in entry["data_offsets"])
    if min(shape, default=0) < 0 or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{list(shape)} occupies {end - begin} bytes")
    if not 0 <= begin <= end <= len(data):
        raise ValueError(f"bytes {begin} to {end} of {len(data)}")
    values: NDArray[Any] = np.frombuffer(data[begin:end], dtype).reshape(shape)
    return values if values.flags.aligned else values.copy()


def _compare(found: Weights, config: AstroMAEConfig) -> None:
    """Compare names, types and shapes of all tensors with what the architecture needs."""
    want = {
        MODEL_PREFIX + name: _describe("int64" if name.endswith("_tracked") else "float32", shape)
        for name, shape in tensor_shapes(config).items()
    }
    bins = found["error.z"].shape if "error.z" in found else (1,)
    want |= dict.fromkeys(ERROR_TENSORS, _describe("float32", bins))
    differ = [f"{name} is missing" for name in want if name not in found]
    differ += [f"{name} is unknown" for name in found if name not in {*want, *OPTIONAL}]
    for name in want.keys() & found.keys():
        got = _describe(str(found[name].dtype), found[name].shape)
        if got != want[name]:
            differ.append(f"{name} is {got}, expected {want[name]}")
    if differ:
        differ.sort()
        more = f", and {len(differ) - MAX_SHOWN} more" if len(differ) > MAX_SHOWN else ""
        raise refused(
            "tensors differ from the architecture: " + "; ".join(differ[:MAX_SHOWN]) + more,
            "the weights belong to another architecture",
        )


def _describe(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype} {list(shape)}"
