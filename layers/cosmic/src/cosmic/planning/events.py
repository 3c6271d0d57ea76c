"""The events that an uploaded manifest arrives as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes import (
    S3Event,
    S3EventBridgeNotificationEvent,
)

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MANIFEST_PREFIX
from cosmic.planning.start_run import Upload


def uploads(event: dict[str, Any]) -> list[Upload]:
    """The manifests that an event announces.

    An S3 notification carries keys URL-encoded, with `+` for a space; EventBridge carries them as
    they are. Test events, deletions and objects elsewhere announce nothing.
    """
    found = _from_eventbridge(event) if "detail" in event else _from_notification(event)
    return [u for u in found if _is_manifest(u.at.key)]


def _is_manifest(key: str) -> bool:
    return key.startswith(MANIFEST_PREFIX) and key.endswith(".json")


def _from_notification(event: dict[str, Any]) -> Iterator[Upload]:
    for record in S3Event(event).records if "Records" in event else ():
        if record.event_name.removeprefix("s3:").startswith("ObjectCreated:"):
            found = record.s3.get_object
            yield _upload(
                record.s3.bucket.name,
                unquote_plus(found.key),
                found.version_id,
                found.etag,
                found.get("sequencer") or "",
            )


def _from_eventbridge(event: dict[str, Any]) -> Iterator[Upload]:
    created = S3EventBridgeNotificationEvent(event)
    if created.detail_type == "Object Created":
        found = created.detail.object
        yield _upload(
            created.detail.bucket.name,
            found["key"],
            found.get("version-id"),
            found.etag,
            found.get("sequencer") or "",
        )


def _upload(bucket: str, key: str, version_id: str | None, etag: str, sequencer: str) -> Upload:
    version_id = None if version_id in (None, "", "null") else version_id
    return Upload(Location(bucket, key), version_id or f"{etag}+{sequencer}", version_id)
