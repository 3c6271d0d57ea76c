"""The templates as CloudFormation gets them: transformed offline, parameters settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cosmic_local.template.intrinsics import Place
from cosmic_local.template.template import Template, load

ROOT = Path(__file__).parents[2]
PLACE = Place("demo", "eu-west-1", "123456789012", "http://127.0.0.1:1")
EVERYTHING = {
    "RendezvousHost": "true",
    "RendezvousZone": "eu-west-1b",
    "RedisUrl": "redis://cache.example:6379",
    "VpcSubnetIds": "subnet-1,subnet-2",
    "VpcSecurityGroupIds": "sg-1",
    "SourceBucket": "survey",
    "SourceKmsKeyArn": "arn:aws:kms:eu-west-1:210987654321:key/5f0b6bd4-0000-4000-8000",
    "InferReservedConcurrency": "50",
    "NotifyEmail": "astronomer@example.org",
    "Tracing": "true",
    "QueryTable": "true",
    "PythonRuntime": "python3.12",
}
Deployed = Callable[..., Template]


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """`deployed(**parameters)`: the transformed template."""
    made: dict[tuple[tuple[str, str], ...], Template] = {}

    def make(**parameters: str) -> Template:
        key = tuple(sorted(parameters.items()))
        if key not in made:
            made[key] = load(ROOT / "template.yaml", parameters, PLACE)
            # A nested stack's outputs are known to CloudFormation only.
            for resource in made[key].resolver.resources.values():
                if resource["Type"] == "AWS::Lambda::Function":
                    _settle_nested(resource)
        return made[key]

    return make


def _settle_nested(resource: dict[str, Any]) -> None:
    variables = resource["Properties"].get("Environment", {}).get("Variables", {})
    for name, value in variables.items():
        text = str(value)
        if "Outputs.Address" in text and "Rendezvous" in text:
            variables[name] = "192.0.2.1:7600"


def of_type(template: Template, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Logical id and resolved properties of every resource of a type."""
    for logical_id, resource in template.resolver.resources.items():
        if resource["Type"] == kind:
            yield logical_id, template.resolver.properties(logical_id)


def as_list(value: Any) -> list[Any]:
    """A list of one for a lone value, as IAM reads it."""
    return value if isinstance(value, list) else [value]
