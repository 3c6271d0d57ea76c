"""The user's manifests, read and checked before the first request to AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cosmic.contracts.manifest import Manifest, check_manifest, parse_manifest
from cosmic.errors import InputError

Overrides = Mapping[str, float | None]
NOTHING: Overrides = MappingProxyType({})
AnyManifest = Mapping[str, Any] | str | bytes | Path


def read_manifest(manifest: AnyManifest, limits: Overrides = NOTHING) -> tuple[Manifest, bytes]:
    """A manifest, checked, and its text as it would be uploaded.

    Args:
        manifest: The document as a mapping, as JSON text, or the path of its file.
        limits: Values that replace the manifest's own `limits`, where they are not None.

    Raises:
        InvalidInput: it has mistakes; lists all of them.
        InputError: its file can't be read.
    """
    checked, text = _read(manifest)
    given = {name: value for name, value in limits.items() if value is not None}
    if not given:
        return checked, text
    document = checked.model_dump(mode="json", exclude_unset=True)
    document["limits"] = document.get("limits", {}) | given
    return check_manifest(document), json.dumps(document, indent=1).encode()


def _read(manifest: AnyManifest) -> tuple[Manifest, bytes]:
    if isinstance(manifest, Mapping):
        checked = check_manifest(dict(manifest))
        return checked, json.dumps(dict(manifest), indent=1).encode()
    text = read_file(manifest) if isinstance(manifest, Path) else manifest
    text = text.encode() if isinstance(text, str) else text
    return parse_manifest(text), text


def read_file(path: Path) -> bytes:
    """A whole file of the user's.

    Raises:
        InputError: it is not there, or can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = "check its name and folder"
        raise InputError(f"{path} does not exist", code="not-found", hint=hint) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", code="unreadable") from error
