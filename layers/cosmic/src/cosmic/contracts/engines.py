"""The names of what can run the model; without any of it, for `init` plans with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

EngineName = Literal["openvino", "onnxruntime", "torch"]
Precision = Literal["float32", "bf16"]
Architecture = Literal["x86_64", "arm64"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
AUTO_ENGINE: EngineName = "openvino"
BF16_ENGINE: EngineName = "openvino"
ARM_ENGINE: EngineName = "onnxruntime"  # the only one with wheels for Lambda's Arm


def choose_engine(
    wanted: EngineName | Literal["auto"], installed: Sequence[EngineName] = ENGINES
) -> EngineName:
    """The library that runs the model in all ranks: ranks that chose for themselves could differ.

    Args:
        wanted: What the manifest says.
        installed: What ranks have; the first of it is `auto` where OpenVINO is not among it.
    """
    if wanted != "auto":
        return wanted
    return AUTO_ENGINE if AUTO_ENGINE in installed else installed[0]
