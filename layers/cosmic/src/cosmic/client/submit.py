"""Submitting a manifest, which starts a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MANIFEST_PREFIX, Manifest, check_manifest, parse_manifest
from cosmic.errors import InputError

log = logging.getLogger(__name__)
AnyManifest = Mapping[str, Any] | str | bytes | Path


def read_manifest(manifest: AnyManifest) -> tuple[Manifest, bytes]:
    """A manifest, checked, and its text as it would be uploaded.

    Args:
        manifest: The document as a mapping, as JSON text, or the path of its file.

    Raises:
        InvalidInput: everything that is wrong with it.
        InputError: its file can't be read.
    """
    if isinstance(manifest, Mapping):
        checked = check_manifest(dict(manifest))
        return checked, json.dumps(dict(manifest), indent=1).encode()
    text = read_file(manifest) if isinstance(manifest, Path) else manifest
    text = text.encode() if isinstance(text, str) else text
    return parse_manifest(text), text


def submit(stack: Stack, manifest: AnyManifest) -> RunFolder:
    """Check a manifest here, upload it, and say which run that starts.

    Its name in the bucket is the file's, or its job where it has no file.

    Raises:
        InvalidInput: everything that is wrong with it.
        InputError: it can't be read, or the bucket can't be written.
        TransientError: S3 failed.
    """
    parsed, text = read_manifest(manifest)
    allowed = tuple(stack.outputs.get("OutputPrefixes", "").split(","))
    if not parsed.output.prefix.startswith(allowed):
        message = f"{stack.bucket} takes no results under {parsed.output.prefix!r}"
        raise InputError(message, code="no-prefix", hint=f"use one of {', '.join(allowed)}")
    name = manifest.stem if isinstance(manifest, Path) else parsed.job
    at = Location(stack.bucket, f"{MANIFEST_PREFIX}{name}.json")
    version = stack.store().put_version(at, text)
    run = run_id(parsed.job, at.bucket, at.key, version)
    log.info("submitted %s as %s", at.uri, run)
    return RunFolder(stack.bucket, parsed.output.prefix, run)


def read_file(path: Path) -> bytes:
    """A whole file of the user's.

    Raises:
        InputError: it is not there, or can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = "check its name and folder"
        raise InputError(f"{path} is not there", code="not-found", hint=hint) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", code="unreadable") from error
