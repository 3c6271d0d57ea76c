"""`template.yaml` as the SAM transform sees it: read, parameters settled, transformed offline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote

import boto3
import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from cosmic_local.errors import TemplateError
from cosmic_local.template.intrinsics import Place, Resolver

# Local paths travel through the transform as S3 URIs of this bucket, as `sam package` would
# put them there.
LOCAL = "local-paths"
IMAGE = "000000000000.dkr.ecr.local/image:latest"
_PATHS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}


@dataclass(frozen=True)
class Template:
    """A template, transformed.

    Attributes:
        folder: Where its relative paths start.
        source: As written.
        resolver: Gives the transformed resources.
    """

    folder: Path
    source: Mapping[str, Any]
    resolver: Resolver

    def metadata(self, logical_id: str) -> dict[str, Any]:
        """A resource's metadata, as written."""
        return dict(self.source["Resources"].get(logical_id, {}).get("Metadata", {}))

    def local_path(self, s3_key: str) -> Path:
        """The file or directory that stands behind a key of the placeholder bucket."""
        return (self.folder / unquote(s3_key)).resolve()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        argument: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        argument = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        argument = loader.construct_mapping(node, deep=True)
    else:
        raise TemplateError(f"!{suffix}: unexpected {type(node).__name__}")
    if suffix == "GetAtt" and isinstance(argument, str):
        argument = argument.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": argument}


_Loader.add_multi_constructor("!", _intrinsic)
# Dates stay text, as they do for CloudFormation.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> dict[str, Any]:
    """Parse a template (YAML or JSON)."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise TemplateError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TemplateError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise TemplateError(f"{path} is not a template: it has no Resources")
    return document


def settle(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The value of every parameter: the one given, or its default.

    Raises:
        TemplateError: one is unknown, missing, or not what its declaration allows.
    """
    unknown = sorted(set(given) - set(declared))
    if unknown:
        known = ", ".join(sorted(declared)) or "none"
        raise TemplateError(
            f"no such parameter: {', '.join(unknown)}", hint=f"known parameters: {known}"
        )
    return {name: _settle(name, spec, given.get(name)) for name, spec in declared.items()}


def _settle(name: str, spec: Mapping[str, Any], given: str | None) -> Any:
    if given is None and "Default" not in spec:
        raise TemplateError(f"parameter {name} has no default and was not given")
    value = str(spec["Default"] if given is None else given)
    allowed = [str(item) for item in spec.get("AllowedValues", [value])]
    if value not in allowed:
        raise TemplateError(f"parameter {name} is {value!r}", hint=f"one of {', '.join(allowed)}")
    if not re.fullmatch(str(spec.get("AllowedPattern", ".*")), value, re.DOTALL):
        raise TemplateError(
            f"parameter {name} is {value!r}", hint=f"it must match {spec['AllowedPattern']}"
        )
    if spec.get("Type") == "Number":
        _check_number(name, spec, value)
    if spec.get("Type") in ("CommaDelimitedList", "List<Number>", "List<String>"):
        return [item.strip() for item in value.split(",")]
    return value


def _check_number(name: str, spec: Mapping[str, Any], value: str) -> None:
    try:
        number = float(value)
    except ValueError:
        raise TemplateError(f"parameter {name} is {value!r}", hint="a number is needed") from None
    low, high = float(spec.get("MinValue", number)), float(spec.get("MaxValue", number))
    if not low <= number <= high:
        raise TemplateError(f"parameter {name} is {value}", hint=f"from {low:g} to {high:g}")


def load(path: Path, given: Mapping[str, str], place: Place) -> Template:
    """Read a template, settle its parameters and transform it.

    Raises:
        TemplateError: it cannot be deployed.
    """
    source = read(path)
    parameters = settle(source.get("Parameters", {}), given)
    transformed = transform(source, parameters, place)
    return Template(path.parent.resolve(), source, Resolver(transformed, parameters, place))


def transform(
    source: Mapping[str, Any], parameters: Mapping[str, Any], place: Place
) -> dict[str, Any]:
    """Apply the SAM transform, without a network."""
    document = _with_placeholders(source)
    session = boto3.Session(
        region_name=place.region,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
    )
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    values = {**parameters, **place.pseudo_parameters()}
    with mock.patch.dict("os.environ", {"AWS_DEFAULT_REGION": place.region}):
        try:
            result: dict[str, Any] = translator.translate(document, values)
        except InvalidDocumentException as error:
            causes = "; ".join(cause.message for cause in error.causes) or error.message
            raise TemplateError(causes) from error
    return result


def _with_placeholders(source: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = _copy(source)
    for resource in document["Resources"].values():
        properties = resource.setdefault("Properties", {}) or {}
        resource["Properties"] = properties
        if resource["Type"] == "AWS::Serverless::Function" and _is_image(document, properties):
            properties.setdefault("ImageUri", IMAGE)
            continue
        key = _PATHS.get(resource["Type"], "")
        path = properties.get(key)
        if isinstance(path, str) and not path.startswith("s3://"):
            properties[key] = f"s3://{LOCAL}/{quote(path, safe='/')}"
    return document


def _is_image(document: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    common = document.get("Globals", {}).get("Function", {})
    return bool(properties.get("PackageType", common.get("PackageType")) == "Image")


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
