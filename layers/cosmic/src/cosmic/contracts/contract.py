"""What all documents that cross a border are made of; a rank has them without the manifest's."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

FormatName = Literal["safetensors", "pt"]
RequestPayer = Literal["requester"]


class Contract(BaseModel):
    """Base of the documents that cross a border: frozen, exact types, nothing unknown."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
