"""What `init` reads from its environment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cosmic.planning.memory import largest_model_bytes, projected_memory_mb
from cosmic.planning.settings import InitSettings

ENVIRONMENT = {
    "COSMIC_STATE_MACHINE_ARN": "arn",
    "COSMIC_INFER_FUNCTION": "infer",
    "COSMIC_INFER_MEMORY_MB": "1769",
    "COSMIC_MAX_WORLD_SIZE": "8",
}


def test_a_deployment_has_the_engine_of_the_image_unless_it_names_others() -> None:
    assert InitSettings.from_environment(ENVIRONMENT).limits(1).engines == ("openvino",)
    more = {**ENVIRONMENT, "COSMIC_ENGINES": "onnxruntime, torch"}
    assert InitSettings.from_environment(more).limits(1).engines == ("onnxruntime", "torch")


@pytest.mark.parametrize("engines", ["", "tensorflow", "openvino,tensorrt"])
def test_engines_that_nobody_knows_are_refused(engines: str) -> None:
    with pytest.raises(ValidationError, match="engines must be among"):
        InitSettings.from_environment({**ENVIRONMENT, "COSMIC_ENGINES": engines})


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("memory_mb", [1024, 1769, 10_240])
def test_the_largest_model_just_fits(engine: str, memory_mb: int) -> None:
    largest = largest_model_bytes(memory_mb, engine)
    assert projected_memory_mb(largest, 0, 1, engine) <= memory_mb
    assert projected_memory_mb(largest + (1 << 20), 0, 1, engine) > memory_mb
