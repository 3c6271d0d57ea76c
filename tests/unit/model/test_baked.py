"""A checkpoint in the image is used when it is the planned one, and only then."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cosmic.contracts.plan import PlannedModel
from cosmic.model.baked import baked_checkpoint

TINY = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"


@pytest.fixture
def planned() -> PlannedModel:
    data = TINY.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    return PlannedModel(bucket="b", key="k", etag="e", bytes=len(data), sha256=sha256)


def test_the_planned_checkpoint_is_found_under_any_name(
    planned: PlannedModel, tmp_path: Path
) -> None:
    (tmp_path / "whatever.safetensors").write_bytes(TINY.read_bytes())
    found = baked_checkpoint(tmp_path, planned)
    assert found
    assert found.sha256 == planned.sha256


def test_another_checkpoint_of_the_same_size_is_not_taken(
    planned: PlannedModel, tmp_path: Path
) -> None:
    (tmp_path / "other.safetensors").write_bytes(TINY.read_bytes())
    other = planned.model_copy(update={"sha256": "0" * 64})
    assert baked_checkpoint(tmp_path, other) is None


def test_a_checkpoint_of_another_size_is_not_even_read(
    planned: PlannedModel, tmp_path: Path
) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"no checkpoint")
    assert baked_checkpoint(tmp_path, planned) is None


def test_an_image_without_any_is_fine(planned: PlannedModel, tmp_path: Path) -> None:
    assert baked_checkpoint(tmp_path / "none", planned) is None
