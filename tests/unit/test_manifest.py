"""Manifests: what is accepted, and that every problem is reported at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmic.contracts.manifest import MAX_MANIFEST_BYTES, manifest_schema, parse_manifest
from cosmic.contracts.status import State, Status, parse_status
from cosmic.errors import InvalidInput, Problem

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
            "data": {"uri": "s3://bkt/d/", "expect": 0},
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
    [{}, {"uri": "s3://bkt/d/", "partitions": ["s3://bkt/1.safetensors"]}, {"partitions": []}],
)
def test_data_is_one_prefix_or_one_list(data: dict[str, Any]) -> None:
    assert any(p.startswith("/data") for p in problems_of({**GOOD, "data": data}))


def test_a_partition_listed_twice_is_refused_by_name() -> None:
    twice = {"partitions": ["s3://bkt/1.safetensors", "s3://bkt/1.safetensors"]}
    assert "s3://bkt/1.safetensors" in problems_of({**GOOD, "data": twice})["/data"].message


def test_of_many_partitions_listed_twice_some_are_named() -> None:
    many = [f"s3://bkt/{n}" for n in range(15_000)]
    found = problems_of({**GOOD, "data": {"partitions": many * 2}})["/data"]
    assert found.message.startswith("listed twice: s3://bkt/0, ")
    assert " and 14990 more" in found.message


def test_a_name_given_twice_is_refused_where_it_is() -> None:
    text = json.dumps(GOOD)[:-1] + ', "job": "x", "data": {"uri": "s3://bkt/a", "uri": "b"}}'
    found = problems_of(text.encode())
    assert set(found) == {"/job", "/data", "/data/uri"}
    assert {p.code for p in found.values()} == {"repeated"}
    assert found["/job"].value == "x"


NO_FOLDERS = [
    "../",
    "./",
    "runs/../",
    "a/../manifests/",
    "runs/\x00/",
    "a\n/",
    "\u00e9" * 300 + "/",
]


@pytest.mark.parametrize("path", NO_FOLDERS)
def test_results_land_in_a_folder_that_every_tool_takes_as_it_is(path: str) -> None:
    found = problems_of({**GOOD, "output": {"prefix": path, "cai_result_path": path}})
    assert set(found) == {"/output/prefix", "/output/cai_result_path"}
    for spelled in ("a.b/..c/", "R\u00e9sultats/1 2/"):
        parse_manifest(json.dumps({**GOOD, "output": {"prefix": spelled}}).encode())


@pytest.mark.parametrize("prefix", ["/runs/", "runs", "", "a//b/", "manifests/"])
def test_output_prefixes_that_make_no_folder_are_refused(prefix: str) -> None:
    assert "/output/prefix" in problems_of({**GOOD, "output": {"prefix": prefix}})


IMPOSSIBLE = [
    "my survey",
    "<bucket>",
    "${BUCKET}",
    "BUCKET",
    "YOUR-BUCKET-NAME",
    "arn:aws:s3:eu-west-1:123456789012:accesspoint",
    "an-access-point-s3alias",
    "express--use1-az4--x-s3",
    "ab",
    "a" * 64,
    "-survey",
    "survey-",
    "a..b",
    "192.168.5.4",
    "xn--survey",
    "survey?",
    "s\u00fcrvey",
]


@pytest.mark.parametrize("bucket", IMPOSSIBLE)
def test_names_that_no_bucket_has_are_found_without_asking(bucket: str) -> None:
    uri = f"s3://{bucket}/survey/x"
    found = problems_of({**GOOD, "model": {"uri": uri}, "data": {"uri": uri}})
    assert set(found) == {"/model/uri", "/data/uri"}
    assert repr(bucket) in found["/data/uri"].message
    (listed,) = problems_of({**GOOD, "data": {"partitions": ["s3://bucket/a", uri]}}).values()
    assert listed.pointer == "/data/partitions/1"
    payload = {"bucket": bucket, "data_bucket": bucket, "file_limit": 1, "S3_object_name": ""}
    assert {"/bucket", "/data_bucket"} <= set(problems_of(payload))


@pytest.mark.parametrize("bucket", ["abc", "a" * 63, "sdss.dr17", "1-2", "My_Survey", "a_b"])
def test_names_that_a_bucket_can_have_are_taken(bucket: str) -> None:
    parse_manifest(json.dumps({**GOOD, "data": {"uri": f"s3://{bucket}/d/"}}).encode())


def test_a_key_longer_than_any_in_s3_is_refused() -> None:
    fits, long = ("s3://bucket/" + "\u00e9" * 512, "s3://bucket/" + "\u00e9" * 513)
    parse_manifest(json.dumps({**GOOD, "data": {"uri": fits}}).encode())
    assert "1026 bytes" in problems_of({**GOOD, "data": {"uri": long}})["/data/uri"].message


@pytest.mark.parametrize(
    "prefix", ["runs/x-0123456789ab/", "runs/x-0123456789ab/shards/", "x-0123456789ab/runs/"]
)
def test_results_never_land_in_a_runs_folder(prefix: str) -> None:
    found = problems_of({**GOOD, "output": {"prefix": prefix, "cai_result_path": prefix}})
    assert set(found) == {"/output/prefix", "/output/cai_result_path"}
    assert all("x-0123456789ab/" in p.message for p in found.values())


def test_what_utf8_cannot_carry_is_refused_where_it_is() -> None:
    text = b'{"version": 1, "data": {"uri": ["s3://bucket/d", "\\ud800"]}, "\\udfff": 1}'
    found = problems_of(text)
    assert set(found) == {"/data/uri/1", "/\\udfff"}
    assert json.dumps([p.as_dict() for p in found.values()], ensure_ascii=False).encode()


def test_nesting_is_refused_where_it_gets_too_deep() -> None:
    deep: Any = "end"
    for _ in range(900):
        deep = [deep]
    (problem,) = problems_of({**GOOD, "inference": deep}).values()
    assert problem.code == "too-deep"
    assert problem.pointer.startswith("/inference/0/0/")


@given(st.recursive(st.text() | st.floats() | st.integers(), st.lists, max_leaves=20))
def test_a_problem_can_be_written_whatever_its_value_is(value: Any) -> None:
    text = f"{value}\ud800"
    problem = Problem(text, text, value, text)
    status = Status(
        run="r", state=State.REJECTED, manifest="", updated_at="", problems=(problem.as_dict(),)
    )
    assert parse_status(status.model_dump_json().encode()).problems


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


@pytest.mark.parametrize(("unknown", "listed"), [(50, 50), (51, 51), (20_000, 51)])
def test_of_many_problems_the_first_are_listed_and_the_rest_counted(
    unknown: int, listed: int
) -> None:
    problems = problems_of({**GOOD, **{f"k{i}": i for i in range(unknown)}})
    assert len(problems) == listed
    assert "/k49" in problems
    assert "/k50" not in problems
    if unknown > 50:
        more = problems[""]
        assert (more.code, more.message.split()[0]) == ("more-problems", str(unknown - 50))


def test_many_repeated_names_are_counted_too() -> None:
    twice = ", ".join(f'"k{i}": 1, "k{i}": 2' for i in range(60))
    problems = problems_of(f"{{{twice}}}".encode())
    assert problems["/k0"].code == "repeated"
    assert problems[""].message == "10 more problems, not listed"


def test_who_pays_for_reading_is_the_requester_or_nobody_in_particular() -> None:
    def data(payer: str) -> dict[str, Any]:
        return {**GOOD, "data": {**GOOD["data"], "request_payer": payer}}

    paid = parse_manifest(json.dumps(data("requester")).encode())
    assert paid.data.request_payer == "requester"
    assert parse_manifest(json.dumps(GOOD).encode()).data.request_payer is None
    assert set(problems_of(data("owner"))) == {"/data/request_payer"}


@pytest.mark.parametrize(
    ("change", "pointer", "meant"),
    [
        ({"modle": {}}, "/modle", "model"),
        ({"inference": {"worldsize": 2}}, "/inference/worldsize", "world_size"),
        ({"data": {**GOOD["data"], "url": "s3://bucket/data/"}}, "/data/url", "uri"),
    ],
)
def test_a_field_that_is_misspelled_is_told_its_name(
    change: dict[str, Any], pointer: str, meant: str
) -> None:
    assert problems_of({**GOOD, **change})[pointer].hint == f"did you mean {meant!r}?"


def test_a_field_like_no_other_is_guessed_at_for_nobody() -> None:
    assert "check its spelling" in problems_of({**GOOD, "colour": "red"})["/colour"].hint
