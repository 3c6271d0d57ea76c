"""Models that OpenVINO compiled beforehand, used where they are what would be compiled here.

They lie in the function's image, each under a name that is the checksum of all that it depends on.
A rank asks for the name that belongs to itself; where anything differs, there is no such file, and
it compiles its own. Nothing is ever taken from where somebody else could put it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from cosmic.model import graph
from cosmic.model.runners.openvino_import import openvino

log = logging.getLogger(__name__)
PROCESSOR = Path("/proc/cpuinfo")
BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # they fold the weights


def place(
    folder: Path, core: openvino.Core, sha256: str, rows: int, properties: dict[str, Any]
) -> Path:
    """Where a compiled model of these is kept, if it is.

    Args:
        folder: The image's.
        core: The library.
        sha256: Of the checkpoint.
        rows: Of every batch.
        properties: It is compiled with.
    """
    facts = {
        "checkpoint": sha256,
        "rows": rows,
        "properties": properties,
        "library": openvino.get_version(),
        "device": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "processor": _processor(),
        "numpy": np.__version__,
        "folding": [os.environ.get(name) for name in BLAS],
        "cores": os.cpu_count() if BLAS[1] not in os.environ else None,
        "graph": [_sha256(Path(graph.__file__)), _sha256(Path(__file__).with_name("openvino.py"))],
    }
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return folder / f"{name}.openvino"


def keep(model: openvino.CompiledModel, path: Path) -> None:
    """Write a compiled model: beside its place first, then renamed into it."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(model.export_model().getvalue())
    beside.replace(path)


def kept(
    core: openvino.Core, path: Path, properties: dict[str, Any]
) -> tuple[openvino.CompiledModel, object] | None:
    """A compiled model, and what must live as long as it does; None if it is not there.

    One that the library doesn't take is not used either: what it is in place of can be compiled.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    values = np.frombuffer(mapped, np.uint8)
    tensor = openvino.Tensor(values, shared_memory=True)  # weights stay in it
    try:
        return core.import_model(tensor, "CPU", properties), (tensor, values)
    except RuntimeError:
        log.warning("the compiled model in the image is of no use", exc_info=True)
        return None


def _processor() -> list[str]:
    """Vendor, model and features of the first core: what kernels are chosen by."""
    first = PROCESSOR.read_text().partition("\n\n")[0]
    facts = dict(line.partition(":")[::2] for line in first.splitlines())
    known = {name.strip(): value.strip() for name, value in facts.items()}
    names = ("vendor_id", "cpu family", "model", "stepping", "cache size")
    return [known.get(name, "") for name in names] + sorted(known.get("flags", "").split())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
