"""Templates: read, parameters settled, transformed offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosmic_local.errors import TemplateError
from cosmic_local.template.function_specs import function_specs
from cosmic_local.template.intrinsics import Place
from cosmic_local.template.template import load, read, settle

PLACE = Place("demo", "eu-west-1", "123456789012", "http://127.0.0.1:1")
APP = Path(__file__).parents[2] / "functional" / "local" / "app" / "template.yaml"


def test_short_forms_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "Resources:\n"
        "  A: {Type: X, When: 2012-10-17, B: !Ref C, D: !GetAtt E.F.G, H: !Sub [a, {b: !Ref c}],\n"
        "      I: !If [J, 1, 2]}\n"
    )
    assert read(path)["Resources"]["A"] == {
        "Type": "X",
        "When": "2012-10-17",
        "B": {"Ref": "C"},
        "D": {"Fn::GetAtt": ["E", "F.G"]},
        "H": {"Fn::Sub": ["a", {"b": {"Ref": "c"}}]},
        "I": {"Fn::If": ["J", 1, 2]},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "is not YAML"), ("- 1", "is not a template"), ("Resources: 3", "is not a template")],
)
def test_what_is_no_template_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(TemplateError, match=message):
        read(path)


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"none\.yaml cannot be read"):
        read(tmp_path / "none.yaml")


DECLARED: dict[str, Any] = {
    "Size": {"Type": "Number", "Default": 4, "MinValue": 1, "MaxValue": 8},
    "Colour": {"Type": "String", "Default": "red", "AllowedValues": ["red", "blue"]},
    "Code": {"Type": "String", "Default": "ab", "AllowedPattern": "[a-z]{2}"},
    "Needed": {"Type": "String"},
    "Many": {"Type": "CommaDelimitedList", "Default": "a, b"},
}


def test_parameters_are_settled() -> None:
    assert settle(DECLARED, {"Needed": "x", "Size": "8"}) == {
        "Size": "8",
        "Colour": "red",
        "Code": "ab",
        "Needed": "x",
        "Many": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Needed has no default"),
        ({"Needed": "x", "Sise": "1"}, "no such parameter: Sise.*Size"),
        ({"Needed": "x", "Size": "9"}, "Size is 9.*from 1 to 8"),
        ({"Needed": "x", "Size": "many"}, "a number is needed"),
        ({"Needed": "x", "Colour": "green"}, "'green'.*one of red, blue"),
        ({"Needed": "x", "Code": "abc"}, "must match"),
    ],
)
def test_parameters_are_checked(given: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        settle(DECLARED, given)


def test_functions_come_from_the_template(tmp_path: Path) -> None:
    template = load(APP, {"RankTimeout": "33", "Greeting": "oi"}, PLACE)
    first, rank, last = function_specs(template, tmp_path)
    assert (first.name, first.handler) == ("demo-First", "first.handler")
    assert first.arn == "arn:aws:lambda:eu-west-1:123456789012:function:demo-First"
    assert first.code == APP.parent / "functions" / "first"
    assert first.layers == (APP.parent / "layers" / "shared" / "src",)
    assert first.environment["GREETING"] == "..."
    assert first.environment["MACHINE"].endswith(":stateMachine:demo-machine")
    assert first.role == "arn:aws:iam::123456789012:role/demo-FirstRole"
    assert first.events.max_retries == 1
    assert first.events.on_failure == "arn:aws:sqs:eu-west-1:123456789012:demo-Lost"
    assert (rank.timeout_s, rank.memory_mb, rank.reserved_concurrency) == (33, 192, 8)
    assert rank.handler == "rank.handler"
    assert (rank.code / "rank.py").is_file()
    assert (rank.layers[0] / "helper.py").is_file()
    assert (last.memory_mb, last.reserved_concurrency, last.layers) == (256, None, ())


def template_with(tmp_path: Path, properties: str, metadata: str = "") -> Path:
    path = tmp_path / "t.yaml"
    path.write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  F:\n"
        "    Type: AWS::Serverless::Function\n"
        f"    Properties: {{{properties}}}\n"
        f"    Metadata: {{{metadata}}}\n"
    )
    return path


@pytest.mark.parametrize(
    ("properties", "metadata", "message"),
    [
        ("CodeUri: none/, Handler: a.b, Runtime: python3.13", "", "none is not a directory"),
        ("CodeUri: 's3://b/k', Handler: a.b, Runtime: python3.13", "", "is not a local path"),
        ("PackageType: Image", "", "runs from its source"),
        ("PackageType: Image", "DockerContext: .", "Dockerfile cannot be read"),
        ("CodeUri: ., Runtime: python3.13", "", "Handler"),
    ],
)
def test_what_cannot_run_here_is_refused(
    tmp_path: Path, properties: str, metadata: str, message: str
) -> None:
    path = template_with(tmp_path, properties, metadata)
    with pytest.raises(TemplateError, match=message):
        function_specs(load(path, {}, PLACE), tmp_path / "layouts")


def test_code_written_in_the_template_runs(tmp_path: Path) -> None:
    code = "InlineCode: 'def handler(e, c): return 1', Handler: index.handler, Runtime: python3.13"
    template = load(template_with(tmp_path, code), {}, PLACE)
    (spec,) = function_specs(template, tmp_path / "layouts")
    assert (spec.code / "index.py").read_text().startswith("def handler")


def test_the_projects_own_template_is_understood() -> None:
    own = Path(__file__).parents[3] / "template.yaml"
    template = load(own, {}, PLACE)
    kinds = [resource["Type"] for resource in template.resolver.resources.values()]
    assert "AWS::Lambda::Function" in kinds
    assert all(isinstance(value, str) for value in template.resolver.outputs().values())
