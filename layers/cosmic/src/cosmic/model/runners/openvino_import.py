"""OpenVINO without its model converter: importing that sends usage data, and takes the longest."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

_CONVERTER = "openvino.tools.ovc"

_hidden = sys.modules.setdefault(_CONVERTER, cast(ModuleType, None)) is None
import openvino  # noqa: E402
from openvino import opset13 as opset  # noqa: E402

if _hidden:
    del sys.modules[_CONVERTER]

__all__ = ["openvino", "opset"]
