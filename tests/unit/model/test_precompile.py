"""Models compiled when an image is built: used where they are the same, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from cosmic.contracts.plan import PlannedModel
from cosmic.model import graph, precompile
from cosmic.model.baked import baked_checkpoint, note_checksum
from cosmic.model.checkpoint import Checkpoint, load_checkpoint
from cosmic.model.engine import Engine
from cosmic.model.runners import openvino as runner
from cosmic.model.runners import openvino_kept

TINY = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"
ROWS = 64


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `model/` of an image with a checkpoint, as the build leaves it."""
    shutil.copyfile(TINY, tmp_path / "tiny.safetensors")
    monkeypatch.setattr(sys, "argv", ["precompile", str(tmp_path)])
    precompile.main()
    return tmp_path


@pytest.fixture
def planned() -> PlannedModel:
    """What a run plans that names the checkpoint."""
    data = TINY.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    return PlannedModel(bucket="b", key="k", etag="e", bytes=len(data), sha256=sha256)


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A rank's compilations, as they happen."""
    seen: list[int] = []
    original: Any = vars(runner)["_compiled"]

    def counted(core: Any, checkpoint: Checkpoint, rows: int, properties: Any) -> Any:
        seen.append(rows)
        return original(core, checkpoint, rows, properties)

    monkeypatch.setattr(runner, "_compiled", counted)
    return seen


def found(image: Path, planned: PlannedModel) -> Checkpoint:
    """The checkpoint of the image."""
    checkpoint = baked_checkpoint(image, planned)
    assert checkpoint
    return checkpoint


def redshifts(engine: Engine) -> bytes:
    """Of a batch, with gaps, bit for bit."""
    draw = np.random.default_rng(1)
    image = draw.standard_normal((ROWS, 5, 32, 32), np.float32)
    image[3] = 0
    mag = draw.uniform(15, 20, (ROWS, 5)).astype(np.float32)
    mag[5, 2] = np.nan
    predicted = engine.predict(image, mag)
    return predicted.z_phot.tobytes() + predicted.flags.tobytes()


def test_the_compiled_model_gives_the_same_bits(
    image: Path, planned: PlannedModel, compiling: list[int]
) -> None:
    kept = redshifts(Engine(found(image, planned), 1))
    assert compiling == []
    assert kept == redshifts(Engine(load_checkpoint(TINY), 1))
    assert compiling == [ROWS]


@pytest.mark.parametrize("how", [{"threads": 2}, {"batch_size": ROWS // 2}])
def test_another_engine_compiles_its_own(
    image: Path, planned: PlannedModel, compiling: list[int], how: dict[str, Any]
) -> None:
    Engine(found(image, planned), **({"threads": 1} | how))
    assert len(compiling) == 1


def test_another_checkpoint_compiles_its_own(
    image: Path, planned: PlannedModel, compiling: list[int]
) -> None:
    Engine(replace(found(image, planned), sha256="0" * 64), 1)
    assert len(compiling) == 1


def other_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another version of OpenVINO."""
    monkeypatch.setattr(openvino, "get_version", lambda: "2027.0.0-1")


def other_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another version of numpy, which folds the weights."""
    monkeypatch.setattr(np, "__version__", "3.0.0")


def other_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A processor that lacks one feature of this one."""
    path = tmp_path / "cpuinfo"
    path.write_text(openvino_kept.PROCESSOR.read_text().replace(" avx2 ", " "))
    monkeypatch.setattr(openvino_kept, "PROCESSOR", path)


def other_folding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another number of threads that fold the weights."""
    monkeypatch.setitem(os.environ, "OPENBLAS_NUM_THREADS", "7")


def other_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another description of the model."""
    path = tmp_path / "graph.py"
    path.write_text("# another")
    monkeypatch.setattr(graph, "__file__", str(path))


@pytest.mark.parametrize(
    "other", [other_version, other_numpy, other_processor, other_folding, other_graph]
)
def test_where_anything_differs_a_rank_compiles_its_own(
    image: Path,
    planned: PlannedModel,
    compiling: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: Any,
) -> None:
    checkpoint = found(image, planned)
    Engine(checkpoint, 1)
    assert compiling == []
    other(monkeypatch, tmp_path)
    Engine(checkpoint, 1)
    assert len(compiling) == 1


def test_a_compiled_model_that_the_library_refuses_is_compiled_anew(
    image: Path, planned: PlannedModel, compiling: list[int]
) -> None:
    (path,) = image.glob("*.openvino")
    path.write_bytes(b"nothing of the kind" * 1000)
    assert redshifts(Engine(found(image, planned), 1))
    assert len(compiling) == 1


def test_only_the_image_is_looked_into(image: Path, compiling: list[int]) -> None:
    Engine(load_checkpoint(image / "tiny.safetensors"), 1)
    assert len(compiling) == 1


def test_a_checksum_that_was_noted_is_believed_of_that_file_alone(
    image: Path, planned: PlannedModel
) -> None:
    path = image / "tiny.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, (1, 1))
    assert baked_checkpoint(image, planned) is None
    note_checksum(path, planned.sha256)
    assert baked_checkpoint(image, planned)
