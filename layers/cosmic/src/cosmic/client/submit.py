"""Submitting a manifest, which starts a run."""

from __future__ import annotations

import logging
from pathlib import Path

from cosmic.client.manifests import NOTHING, AnyManifest, Overrides, read_manifest
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MANIFEST_PREFIX
from cosmic.errors import InputError

log = logging.getLogger(__name__)


def submit(stack: Stack, manifest: AnyManifest, limits: Overrides = NOTHING) -> RunFolder:
    """Check a manifest here, upload it, and return the run that this starts.

    In the bucket it has the name of its file or, if it has no file, of its job.

    Args:
        stack: Where it runs.
        manifest: As for `read_manifest`.
        limits: Values that replace the manifest's `limits`.

    Raises:
        InvalidInput: it has mistakes; lists all of them.
        InputError: it can't be read, or the bucket can't be written.
        TransientError: S3 failed.
    """
    parsed, text = read_manifest(manifest, limits)
    allowed = tuple(stack.outputs.get("OutputPrefixes", "").split(","))
    if not parsed.output.prefix.startswith(allowed):
        message = f"{stack.bucket} does not accept results under {parsed.output.prefix!r}"
        raise InputError(message, code="no-prefix", hint=f"use one of {', '.join(allowed)}")
    name = manifest.stem if isinstance(manifest, Path) else parsed.job
    at = Location(stack.bucket, f"{MANIFEST_PREFIX}{name}.json")
    version = stack.store().put_version(at, text)
    run = run_id(parsed.job, at.bucket, at.key, version)
    log.info("submitted %s as %s", at.uri, run)
    return RunFolder(stack.bucket, parsed.output.prefix, run)
