"""Manifests: what is accepted, and that every problem is reported at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cosmic.errors import InvalidInput, Problem
from cosmic.manifest import MAX_MANIFEST_BYTES, manifest_schema, parse_manifest

GOOD: dict[str, Any] = {
    "version": 1,
    "job": "sdss-dr17",
    "model": {"uri": "s3://bucket/models/tiny.safetensors"},
    "data": {"uri": "s3://bucket/data/"},
}


def problems_of(document: Any) -> dict[str, Problem]:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(InvalidInput) as caught:
        parse_manifest(text)
    return {p.pointer: p for p in caught.value.problems}


def test_defaults_are_filled_in() -> None:
    manifest = parse_manifest(json.dumps(GOOD).encode())
    assert manifest.inference.batch_size == 64
    assert manifest.inference.world_size == "auto"
    assert manifest.fmi.channel == "auto"
    assert manifest.tolerate.failed_rows_percent == 0
    assert manifest.output.prefix == "runs/"


def test_all_problems_at_once_each_with_pointer_value_and_hint() -> None:
    found = problems_of(
        {
            "version": 2,
            "job": "Has Spaces",
            "model": {"uri": "http://host/model", "sha256": "abc"},
            "data": {"uri": "s3://b/d/", "expect": 0},
            "inference": {"batch_size": "64", "world_size": -1, "precision": "int4"},
            "fmi": {"channel": "pigeon", "timeout_s": 0},
            "tolerate": {"failed_rows_percent": 101},
            "output": {"prefix": "manifests/mine/"},
            "extra": 1,
        }
    )
    assert set(found) == {
        "/version",
        "/job",
        "/model/uri",
        "/model/sha256",
        "/data/expect",
        "/inference/batch_size",
        "/inference/world_size",
        "/inference/precision",
        "/fmi/channel",
        "/fmi/timeout_s",
        "/tolerate/failed_rows_percent",
        "/output/prefix",
        "/extra",
    }
    assert found["/version"].code == "bad-version"
    assert found["/inference/world_size"].value == -1
    assert "auto" in found["/inference/world_size"].hint
    assert "manifests/" in found["/output/prefix"].message


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[NaN]", b'{"version": Infinity}'])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    assert problems_of(text)[""].code == "not-json"


def test_deep_nesting_is_refused() -> None:
    assert problems_of(b"[" * 200_000)[""].code == "not-json"


def test_a_manifest_that_is_too_long_is_refused_unread() -> None:
    assert "bytes long" in problems_of(b" " * (MAX_MANIFEST_BYTES + 1))[""].message


@pytest.mark.parametrize("document", [[], "text", 1, None])
def test_what_is_no_object_is_refused(document: Any) -> None:
    assert problems_of(document)[""].code == "not-an-object"


@pytest.mark.parametrize(
    "data",
    [{}, {"uri": "s3://b/d/", "partitions": ["s3://b/1.safetensors"]}, {"partitions": []}],
)
def test_data_is_one_prefix_or_one_list(data: dict[str, Any]) -> None:
    assert any(p.startswith("/data") for p in problems_of({**GOOD, "data": data}))


def test_a_partition_listed_twice_is_refused_by_name() -> None:
    twice = {"partitions": ["s3://b/1.safetensors", "s3://b/1.safetensors"]}
    assert "s3://b/1.safetensors" in problems_of({**GOOD, "data": twice})["/data"].message


@pytest.mark.parametrize("prefix", ["/runs/", "runs", "", "a//b/", "manifests/"])
def test_output_prefixes_that_make_no_folder_are_refused(prefix: str) -> None:
    assert "/output/prefix" in problems_of({**GOOD, "output": {"prefix": prefix}})


def test_a_boolean_is_no_number() -> None:
    found = problems_of({**GOOD, "inference": {"world_size": True, "batch_size": True}})
    assert set(found) == {"/inference/world_size", "/inference/batch_size"}


def test_the_published_schema_agrees() -> None:
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GOOD, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, "extra": 1}, schema)


def test_the_schema_in_the_docs_is_the_schema() -> None:
    published = Path(__file__).parents[2] / "docs" / "manifest.schema.json"
    assert json.loads(published.read_text()) == manifest_schema()
