"""Events: both shapes that one upload arrives in, and what announces nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cosmic.planning.events import uploads


def notification(key: str, name: str = "ObjectCreated:Put", **found: Any) -> dict[str, Any]:
    entry = {"key": key, "eTag": "e1", "sequencer": "01", **found}
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": name,
                "s3": {"bucket": {"name": "data"}, "object": entry},
            }
        ]
    }


def eventbridge(key: str, detail_type: str = "Object Created", **found: Any) -> dict[str, Any]:
    entry = {"key": key, "etag": "e1", "sequencer": "01", **found}
    detail = {"bucket": {"name": "data"}, "object": entry}
    return {"source": "aws.s3", "detail-type": detail_type, "detail": detail}


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("manifests/a.json", "manifests/a.json"),
        ("manifests/my+run+%26+more.json", "manifests/my run & more.json"),
        ("manifests/a%2Bb.json", "manifests/a+b.json"),
        ("manifests/a%20b.json", "manifests/a b.json"),
        ("manifests/%E2%98%85.json", "manifests/★.json"),
    ],
)
def test_a_notifications_key_is_decoded(encoded: str, key: str) -> None:
    (upload,) = uploads(notification(encoded))
    assert upload.at == ("data", key)


def test_an_eventbridge_key_is_taken_as_it_is() -> None:
    (upload,) = uploads(eventbridge("manifests/a+b%20c.json"))
    assert upload.at.key == "manifests/a+b%20c.json"


def test_the_revision_is_the_version_where_there_is_one() -> None:
    (versioned,) = uploads(notification("manifests/a.json", versionId="v1"))
    (plain,) = uploads(notification("manifests/a.json"))
    (null,) = uploads(eventbridge("manifests/a.json", **{"version-id": "null"}))
    assert (versioned.revision, versioned.version_id) == ("v1", "v1")
    assert (plain.revision, plain.version_id) == ("e1+01", None)
    assert null == plain


@pytest.mark.parametrize(
    "event",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"},
        {"Records": []},
        {},
        notification("manifests/a.json", "ObjectRemoved:Delete"),
        notification("runs/x/manifest.json"),
        notification("manifests/readme.txt"),
        eventbridge("manifests/a.json", "Object Deleted"),
        eventbridge("data/1.safetensors"),
    ],
)
def test_nothing_is_announced_by(event: dict[str, Any]) -> None:
    assert uploads(event) == []
