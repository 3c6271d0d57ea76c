"""Figures of a model, measured here and kept in its card."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

from cosmic import __version__
from cosmic.calibration.measure import Calibration, Progress, measure
from cosmic.contracts.columns import partition_columns
from cosmic.costs.card_figures import CardFigures, with_figures
from cosmic.errors import InputError

CARD_FILE = "card.json"  # as `cosmic.model.training.card` has it, which imports torch


def measure_for_card(folder: Path, wanted: Calibration, progress: Progress) -> CardFigures:
    """Measure a model and write what was found into its card.

    Args:
        folder: Of the card and the checkpoint.
        wanted: What is measured; its `model` is the card's.
        progress: Told what is done next.

    Raises:
        InputError: there is no card, the checkpoint is not its, or is not there.
        CosmicError: the engine can't run it here.
    """
    path = folder / CARD_FILE
    card = _read(path)
    model = folder / f"{card['name']}.safetensors"
    found = measure(replace(wanted, model=model), _row_bytes(card), progress)
    block = CardFigures(
        date=datetime.now(UTC).date().isoformat(),
        cpu=cpu_name(),
        versions={"cosmic": __version__, found.engine: version(found.engine)},
        figures=found,
    )
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(with_figures(card, block, path), indent=2) + "\n")
    beside.replace(path)
    return block


def cpu_name() -> str:
    """The processor's name as the kernel has it (proc(5), cpuinfo), else its architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"no model card at {path}: {error}", code="card-unreadable") from error
    if not isinstance(card, dict) or not {"name", "architecture"} <= card.keys():
        raise InputError(f"{path} is no model card", code="card-invalid")
    return card


def _row_bytes(card: Mapping[str, Any]) -> int:
    """Bytes of one row that the model takes, all columns of a partition."""
    shape = card["architecture"]
    side = int(shape["image_size"])
    columns = partition_columns(int(shape["bands"])).values()
    return sum(c.dtype.itemsize * prod(n or side for n in c.row_shape) for c in columns)
