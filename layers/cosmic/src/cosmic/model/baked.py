"""Checkpoints that lie in the function's image: what a cold start need not download.

Nor need it hash them where their checksums were noted when the image was built: what is in an image
doesn't change, and who could change it could change this code as well.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cosmic.contracts.plan import PlannedModel
from cosmic.model.checkpoint import Checkpoint, load_checkpoint


def baked_checkpoint(folder: Path, model: PlannedModel) -> Checkpoint | None:
    """The planned checkpoint from the image's folder; None if it isn't there byte for byte.

    Args:
        folder: Where the image keeps `*.safetensors`; it need not exist.
        model: What the run planned.

    Raises:
        InputError: a file of the planned size is no checkpoint.
    """
    for path in sorted(folder.glob("*.safetensors")):
        if path.stat().st_size == model.bytes:
            known = _noted_checksum(path)
            if known not in (None, model.sha256):
                continue
            checkpoint = load_checkpoint(path, known_sha256=known)
            if checkpoint.sha256 == model.sha256:
                return replace(checkpoint, compiled_in=folder)
    return None


def note_checksum(path: Path, sha256: str) -> None:
    """Note a checkpoint's SHA-256 beside it, for as long as the file stays as it is."""
    _note(path).write_text(json.dumps([*_state(path), sha256]))


def _noted_checksum(path: Path) -> str | None:
    """The SHA-256 that was noted of this very file; None: it has to be computed."""
    if not _note(path).is_file():
        return None
    *state, sha256 = json.loads(_note(path).read_text())
    return str(sha256) if state == _state(path) else None


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _state(path: Path) -> list[int]:
    """Size and time of change, in whole seconds: an image keeps no more of it."""
    found = path.stat()
    return [found.st_size, int(found.st_mtime)]
