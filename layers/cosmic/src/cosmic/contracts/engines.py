"""The names of what can run the model; without any of it, for `init` plans with them."""

from __future__ import annotations

from typing import Literal, get_args

EngineName = Literal["openvino", "onnxruntime", "torch"]
Precision = Literal["float32", "bf16"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
AUTO_ENGINE: EngineName = "openvino"  # a fixed rule: ranks that chose for themselves could differ
BF16_ENGINE: EngineName = "openvino"


def choose_engine(wanted: EngineName | Literal["auto"]) -> EngineName:
    """The library that runs the model in all ranks."""
    return AUTO_ENGINE if wanted == "auto" else wanted
