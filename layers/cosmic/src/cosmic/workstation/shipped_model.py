"""The checkpoint that comes with Cosmic."""

from __future__ import annotations

from pathlib import Path

NAME = "astromae-tiny"
SHIPPED = Path(__file__).with_name("shipped") / f"{NAME}.safetensors"
CAUTION = f"{NAME}, the model that comes with Cosmic, is not a model to do science with"
WAY_ON = "it shows that the pipeline works; give your own with --model"
