"""How far a call has come that works through files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["downloading", "packing", "predicting", "merging", "uploading", "writing"]


@dataclass(frozen=True)
class Step:
    """How far a call has come.

    Attributes:
        phase: What is being done.
        done, of: Bytes while downloading or uploading, else rows.
    """

    phase: Phase
    done: int
    of: int

    @property
    def in_bytes(self) -> bool:
        """Whether bytes are counted, not rows."""
        return self.phase in ("downloading", "uploading")
