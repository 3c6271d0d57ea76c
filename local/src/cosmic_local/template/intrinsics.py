"""CloudFormation's intrinsic functions, resolved without CloudFormation."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cosmic_local.errors import TemplateError

SUB = re.compile(r"\$\{(!?)([^}]+)\}")
NO_VALUE = object()

# What `Ref` gives for a type, where that is not its name.
_ARN_REFS = {
    "AWS::Lambda::Alias",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Version",
    "AWS::SecretsManager::Secret",
    "AWS::SNS::Topic",
    "AWS::StepFunctions::StateMachine",
}
# ARN of a type: the part after `arn:aws:`; {r}egion, {a}ccount, {n}ame.
_ARNS = {
    "AWS::CloudWatch::Alarm": "cloudwatch:{r}:{a}:alarm:{n}",
    "AWS::DynamoDB::Table": "dynamodb:{r}:{a}:table/{n}",
    "AWS::Events::Rule": "events:{r}:{a}:rule/{n}",
    "AWS::IAM::Role": "iam::{a}:role/{n}",
    "AWS::KMS::Key": "kms:{r}:{a}:key/{n}",
    "AWS::Lambda::Alias": "lambda:{r}:{a}:function:{n}",
    "AWS::Lambda::Function": "lambda:{r}:{a}:function:{n}",
    "AWS::Lambda::LayerVersion": "lambda:{r}:{a}:layer:{n}:1",
    "AWS::Lambda::Version": "lambda:{r}:{a}:function:{n}:1",
    "AWS::Logs::LogGroup": "logs:{r}:{a}:log-group:{n}:*",
    "AWS::S3::Bucket": "s3:::{n}",
    "AWS::SecretsManager::Secret": "secretsmanager:{r}:{a}:secret:{n}",
    "AWS::SNS::Topic": "sns:{r}:{a}:{n}",
    "AWS::SQS::Queue": "sqs:{r}:{a}:{n}",
    "AWS::StepFunctions::StateMachine": "states:{r}:{a}:stateMachine:{n}",
}
# The property that names a resource of a type.
_NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}


@dataclass(frozen=True)
class Place:
    """Where a stack is deployed.

    Attributes:
        stack: Its name.
        region: The region.
        account: The account.
        endpoint_url: Where the services are.
    """

    stack: str
    region: str
    account: str
    endpoint_url: str

    def pseudo_parameters(self) -> dict[str, str]:
        """What `AWS::…` refers to."""
        arn = f"arn:aws:cloudformation:{self.region}:{self.account}:stack/{self.stack}/local"
        return {
            "AWS::AccountId": self.account,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackId": arn,
            "AWS::StackName": self.stack,
            "AWS::URLSuffix": "amazonaws.com",
        }


@dataclass
class Resolver:
    """Resolves values of one transformed template.

    Physical names and ARNs follow from the template alone, so that resources may refer to each
    other in any order.

    Attributes:
        template: After the SAM transform.
        parameters: Values of all its parameters.
        place: Where it is deployed.
    """

    template: Mapping[str, Any]
    parameters: Mapping[str, Any]
    place: Place
    _names: dict[str, str] = field(default_factory=dict)
    _arns: dict[str, str] = field(default_factory=dict)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources whose condition holds, unresolved."""
        return {
            name: resource
            for name, resource in self.template.get("Resources", {}).items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def properties(self, logical_id: str) -> dict[str, Any]:
        """A resource's properties, resolved."""
        raw = self.template["Resources"][logical_id].get("Properties", {})
        resolved = self.value(raw, f"Resources.{logical_id}")
        return dict(resolved)

    def outputs(self) -> dict[str, str]:
        """The outputs whose condition holds, resolved."""
        return {
            name: self.value(output["Value"], f"Outputs.{name}")
            for name, output in self.template.get("Outputs", {}).items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        try:
            expression = self.template["Conditions"][name]
        except KeyError:
            raise TemplateError(f"there is no condition {name!r}") from None
        return bool(self.value(expression, f"Conditions.{name}"))

    def physical_name(self, logical_id: str) -> str:
        """The name of a resource: the one it states, or one made of the stack's and its own."""
        if logical_id not in self._names:
            resource = self._resource(logical_id)
            stated = resource.get("Properties", {}).get(_NAMES.get(resource["Type"], ""))
            name = self.value(stated, logical_id) if stated is not None else None
            if not isinstance(name, str):
                name = f"{self.place.stack}-{logical_id}"
                name = name.lower() if resource["Type"] == "AWS::S3::Bucket" else name
            self._names[logical_id] = name
        return self._names[logical_id]

    def arn(self, logical_id: str) -> str:
        """The ARN of a resource."""
        if logical_id in self._arns:
            return self._arns[logical_id]
        kind = self._resource(logical_id)["Type"]
        if kind not in _ARNS:
            raise TemplateError(f"the local stack has no ARN for {logical_id}, a {kind}")
        name = self.physical_name(logical_id)
        if kind in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            return self._qualified(logical_id)
        rest = _ARNS[kind].format(r=self.place.region, a=self.place.account, n=name)
        return f"arn:aws:{rest}"

    def set_arn(self, logical_id: str, arn: str) -> None:
        """State the ARN that a resource was given when it was created."""
        self._arns[logical_id] = arn

    def ref(self, name: str) -> Any:
        """What `Ref` gives."""
        if name == "AWS::NoValue":
            return NO_VALUE
        pseudo = self.place.pseudo_parameters()
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self._resource(name)["Type"]
        if kind == "AWS::SQS::Queue":
            return f"{self.place.endpoint_url}/{self.place.account}/{self.physical_name(name)}"
        return self.arn(name) if kind in _ARN_REFS else self.physical_name(name)

    def get_att(self, logical_id: str, attribute: str) -> Any:
        """What `Fn::GetAtt` gives."""
        kind = self._resource(logical_id)["Type"]
        if attribute in ("Arn", "TopicArn", "LayerVersionArn", "FunctionArn"):
            return self.arn(logical_id)
        if attribute in ("Name", "QueueName", "TopicName"):
            return self.physical_name(logical_id)
        if attribute == "QueueUrl":
            return self.ref(logical_id)
        raise TemplateError(f"the local stack does not support {logical_id}.{attribute} (a {kind})")

    def value(self, value: Any, where: str) -> Any:
        """Resolve a value, whatever it is made of."""
        if isinstance(value, list):
            items = [self.value(item, where) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if (
                name == "Ref"
                or name.startswith("Fn::")
                or (name == "Condition" and isinstance(argument, str) and where.startswith("Cond"))
            ):
                return self._call(name, argument, where)
        members = {key: self.value(item, where) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not NO_VALUE}

    def _call(self, name: str, argument: Any, where: str) -> Any:
        lazy: dict[str, Callable[[], Any]] = {
            "Ref": lambda: self.ref(argument),
            "Condition": lambda: self.condition(argument),
            "Fn::GetAtt": lambda: self._get_att(argument, where),
            "Fn::Sub": lambda: self._sub(argument, where),
            "Fn::If": lambda: self.value(argument[1 if self.condition(argument[0]) else 2], where),
        }
        if name in lazy:
            return lazy[name]()
        strict = _FUNCTIONS.get(name)
        if strict is None and name != "Fn::FindInMap":
            raise TemplateError(f"{where}: the local stack does not support {name}")
        resolved = self.value(argument, where)
        if strict is None:
            return self._find_in_map(resolved, where)
        try:
            return strict(resolved)
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise TemplateError(f"{where}: {name} of {resolved!r}: {error}") from error

    def _get_att(self, argument: str | list[Any], where: str) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        return self.get_att(parts[0], self.value(parts[1], where))

    def _sub(self, argument: str | list[Any], where: str) -> str:
        text, extra = (argument, {}) if isinstance(argument, str) else argument
        own = {key: self.value(item, where) for key, item in extra.items()}

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in own:
                return str(own[name])
            return str(self._get_att(name, where) if "." in name else self.ref(name))

        return SUB.sub(replace, text)

    def _find_in_map(self, path: list[str], where: str) -> Any:
        try:
            table, row, column = path
            return self.template["Mappings"][table][row][column]
        except (KeyError, ValueError) as error:
            raise TemplateError(f"{where}: there is no mapping {path}") from error

    def _qualified(self, logical_id: str) -> str:
        properties = self._resource(logical_id).get("Properties", {})
        function = self.value(properties["FunctionName"], logical_id)
        qualifier = self.value(properties.get("Name", "1"), logical_id)
        arn = f"arn:aws:lambda:{self.place.region}:{self.place.account}:function:"
        return f"{arn}{function}:{qualifier}"

    def _resource(self, logical_id: str) -> dict[str, Any]:
        try:
            resource: dict[str, Any] = self.template["Resources"][logical_id]
        except KeyError:
            raise TemplateError(f"there is no parameter or resource {logical_id!r}") from None
        return resource


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Fn::And": all,
    "Fn::Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Fn::Equals": lambda pair: str(pair[0]) == str(pair[1]),
    "Fn::Join": lambda pair: pair[0].join(str(item) for item in pair[1]),
    "Fn::Not": lambda items: not items[0],
    "Fn::Or": any,
    "Fn::Select": lambda pair: pair[1][int(pair[0])],
    "Fn::Split": lambda pair: pair[1].split(pair[0]),
}
