"""CloudFormation's functions, resolved without CloudFormation."""

from __future__ import annotations

from typing import Any

import pytest

from cosmic_local.errors import TemplateError
from cosmic_local.template.intrinsics import Place, Resolver

PLACE = Place("demo", "eu-west-1", "123456789012", "http://127.0.0.1:1")
TEMPLATE: dict[str, Any] = {
    "Mappings": {"Sizes": {"small": {"MB": 128}}},
    "Conditions": {
        "Big": {"Fn::Equals": [{"Ref": "Size"}, "big"]},
        "Small": {"Fn::Not": [{"Condition": "Big"}]},
        "Both": {"Fn::And": [{"Condition": "Big"}, {"Condition": "Small"}]},
        "Either": {"Fn::Or": [{"Condition": "Big"}, {"Condition": "Small"}]},
    },
    "Resources": {
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {}},
        "Live": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {"FunctionName": {"Ref": "Function"}, "Name": "live"},
        },
        "Named": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": {"Fn::Sub": "${AWS::StackName}-x-${AWS::AccountId}"}},
        },
        "Plain": {"Type": "AWS::S3::Bucket"},
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {}},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "OnlyBig": {"Type": "AWS::SNS::Topic", "Condition": "Big"},
        "Odd": {"Type": "AWS::Odd::Thing"},
    },
    "Outputs": {
        "Always": {"Value": {"Ref": "Plain"}},
        "Sometimes": {"Condition": "Big", "Value": {"Ref": "OnlyBig"}},
    },
}
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:demo-Function"


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(TEMPLATE, {"Size": "small", "Names": ["a", "b"]}, PLACE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        (3, 3),
        ({"Ref": "Size"}, "small"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "Function"}, "demo-Function"),
        ({"Ref": "Named"}, "demo-x-123456789012"),
        ({"Ref": "Plain"}, "demo-plain"),
        ({"Ref": "Machine"}, "arn:aws:states:eu-west-1:123456789012:stateMachine:demo-Machine"),
        ({"Ref": "Queue"}, "http://127.0.0.1:1/123456789012/demo-Queue"),
        ({"Ref": "Live"}, f"{ARN}:live"),
        ({"Fn::GetAtt": ["Function", "Arn"]}, ARN),
        ({"Fn::GetAtt": "Function.Arn"}, ARN),
        ({"Fn::GetAtt": ["Machine", "Name"]}, "demo-Machine"),
        ({"Fn::GetAtt": ["Queue", "QueueUrl"]}, "http://127.0.0.1:1/123456789012/demo-Queue"),
        ({"Fn::Sub": "${Function}|${Function.Arn}|${!Kept}"}, f"demo-Function|{ARN}|${{Kept}}"),
        ({"Fn::Sub": ["${a}-${Size}", {"a": {"Ref": "AWS::Partition"}}]}, "aws-small"),
        ({"Fn::Join": ["+", ["a", {"Ref": "Size"}, 1]]}, "a+small+1"),
        ({"Fn::Select": ["1", {"Ref": "Names"}]}, "b"),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Size"}, "MB"]}, 128),
        ({"Fn::If": ["Big", 1, 2]}, 2),
        ({"Fn::If": ["Either", 1, 2]}, 1),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"a": {"Fn::If": ["Big", 1, {"Ref": "AWS::NoValue"}]}, "b": 1}, {"b": 1}),
        ([{"Fn::If": ["Big", 1, {"Ref": "AWS::NoValue"}]}, 2], [2]),
    ],
)
def test_resolves(resolver: Resolver, value: Any, expected: Any) -> None:
    assert resolver.value(value, "Resources.X") == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Ref": "Nothing"}, "no parameter or resource 'Nothing'"),
        ({"Fn::GetAtt": ["Odd", "Arn"]}, "no ARN for Odd, a AWS::Odd::Thing"),
        ({"Fn::GetAtt": ["Odd", "Shape"]}, r"support Odd\.Shape \(a AWS::Odd::Thing\)"),
        ({"Fn::ImportValue": "x"}, "does not support Fn::ImportValue"),
        ({"Fn::Select": [5, ["a"]]}, "Fn::Select"),
        ({"Fn::FindInMap": ["Sizes", "large", "MB"]}, "no mapping"),
        ({"Fn::If": ["Never", 1, 2]}, "no condition 'Never'"),
    ],
)
def test_says_what_it_cannot_resolve(resolver: Resolver, value: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        resolver.value(value, "Resources.X")


def test_the_branch_not_taken_is_not_resolved(resolver: Resolver) -> None:
    assert resolver.value({"Fn::If": ["Big", {"Ref": "Nothing"}, 2]}, "Resources.X") == 2


def test_conditions_decide_on_resources_and_outputs(resolver: Resolver) -> None:
    assert "OnlyBig" not in resolver.resources
    assert resolver.outputs() == {"Always": "demo-plain"}
    big = Resolver(TEMPLATE, {"Size": "big"}, PLACE)
    assert "OnlyBig" in big.resources
    assert big.outputs()["Sometimes"] == "arn:aws:sns:eu-west-1:123456789012:demo-OnlyBig"


def test_an_arn_given_at_creation_is_used(resolver: Resolver) -> None:
    resolver.set_arn("Machine", "arn:other")
    assert resolver.value({"Ref": "Machine"}, "Resources.X") == "arn:other"
