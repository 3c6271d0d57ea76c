"""The checkpoint that comes with Cosmic."""

from __future__ import annotations

import hashlib
from pathlib import Path

NAME = "astromae-tiny"
SHIPPED = Path(__file__).with_name("shipped") / f"{NAME}.safetensors"
CAUTION = f"{NAME}, the model that comes with Cosmic, is not meant for science"
WAY_ON = "it shows that the pipeline works; give your own with --model"


def shipped_sha256() -> str:
    """The checksum of the checkpoint that comes with Cosmic."""
    return hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
