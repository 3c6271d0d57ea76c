"""Create a template's resources in the emulator.

Created: roles, functions, buckets with their notifications, state machines, queues and secrets.
The rest (log groups, alarms, dashboards, permissions, …) has no part in a run and is left out;
`Deployment.left_out` names it.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import string
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cosmic_local.errors import TemplateError
from cosmic_local.lambda_pool.function import FunctionSpec
from cosmic_local.lambda_pool.pool import Pool
from cosmic_local.lambda_pool.remote_lambda import relayed
from cosmic_local.template.event_rules import RULE, Rule, rules_of
from cosmic_local.template.function_specs import function_specs
from cosmic_local.template.template import LOCAL, Template

Clients = Callable[[str], Any]


@dataclass(frozen=True)
class Deployment:
    """What was created.

    Attributes:
        outputs: The template's outputs.
        functions: The functions.
        left_out: Logical id → type of the resources that were not created.
        rules: Which notices of executions go to which functions.
    """

    outputs: dict[str, str]
    functions: list[FunctionSpec]
    left_out: dict[str, str]
    rules: list[Rule]


def deploy(
    template: Template, pool: Pool, clients: Clients, layouts: Path, *, elsewhere: str = ""
) -> Deployment:
    """Create everything.

    Args:
        template: What.
        pool: Runs the functions.
        clients: Gives a boto3 client for a service.
        layouts: Directory for the file systems of image functions.
        elsewhere: Endpoint that runs the functions, if the pool's own processes don't.

    Raises:
        TemplateError: something cannot be created here.
    """
    resources = template.resolver.resources
    for kind, create in _CREATORS.items():
        for logical_id, resource in resources.items():
            if resource["Type"] == kind:
                create(template, logical_id, clients)
    specs = function_specs(template, layouts)
    for spec in specs:
        _function(spec, clients("lambda"))
        pool.add(relayed(spec, elsewhere) if elsewhere else spec)
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::S3::Bucket":
            _notifications(template, logical_id, clients("s3"))
    left_out = {
        name: resource["Type"]
        for name, resource in resources.items()
        if resource["Type"] not in (*_CREATORS, *_PARTS_OF_FUNCTIONS)
    }
    return Deployment(template.resolver.outputs(), specs, left_out, rules_of(template))


def _role(template: Template, logical_id: str, clients: Clients) -> None:
    properties = template.resolver.properties(logical_id)
    iam = clients("iam")
    name = template.resolver.physical_name(logical_id)
    trust = json.dumps(properties["AssumeRolePolicyDocument"])
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    for policy in properties.get("Policies", []):
        iam.put_role_policy(
            RoleName=name,
            PolicyName=policy["PolicyName"],
            # SAM writes some without a version; IAM takes them, the emulator does not.
            PolicyDocument=json.dumps({"Version": "2012-10-17", **policy["PolicyDocument"]}),
        )


def _bucket(template: Template, logical_id: str, clients: Clients) -> None:
    properties = template.resolver.properties(logical_id)
    s3 = clients("s3")
    name = template.resolver.physical_name(logical_id)
    region = template.resolver.place.region
    place = {} if region == "us-east-1" else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))
    if "VersioningConfiguration" in properties:
        s3.put_bucket_versioning(
            Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"]
        )


def _notifications(template: Template, logical_id: str, s3: Any) -> None:
    properties = template.resolver.properties(logical_id)
    configurations = properties.get("NotificationConfiguration", {}).get("LambdaConfigurations", [])
    wanted = []
    for item in configurations:
        entry = {"LambdaFunctionArn": item["Function"], "Events": [item["Event"]]}
        rules = item.get("Filter", {}).get("S3Key", {}).get("Rules", [])
        if rules:
            entry["Filter"] = {"Key": {"FilterRules": rules}}
        wanted.append(entry)
    if wanted:
        s3.put_bucket_notification_configuration(
            Bucket=template.resolver.physical_name(logical_id),
            NotificationConfiguration={"LambdaFunctionConfigurations": wanted},
        )


def _queue(template: Template, logical_id: str, clients: Clients) -> None:
    clients("sqs").create_queue(QueueName=template.resolver.physical_name(logical_id))


def _secret(template: Template, logical_id: str, clients: Clients) -> None:
    properties = template.resolver.properties(logical_id)
    text = properties.get("SecretString")
    if text is None:
        length = int(properties.get("GenerateSecretString", {}).get("PasswordLength", 32))
        alphabet = string.ascii_letters + string.digits
        text = "".join(secrets.choice(alphabet) for _ in range(length))
    created = clients("secretsmanager").create_secret(
        Name=template.resolver.physical_name(logical_id), SecretString=text
    )
    template.resolver.set_arn(logical_id, created["ARN"])


def _state_machine(template: Template, logical_id: str, clients: Clients) -> None:
    properties = template.resolver.properties(logical_id)
    clients("stepfunctions").create_state_machine(
        name=template.resolver.physical_name(logical_id),
        definition=_definition(template, logical_id, properties),
        roleArn=properties["RoleArn"],
        type=properties.get("StateMachineType", "STANDARD"),
    )


def _definition(template: Template, logical_id: str, properties: dict[str, Any]) -> str:
    if "DefinitionS3Location" in properties:
        location = properties["DefinitionS3Location"]
        if location.get("Bucket") != LOCAL:
            raise TemplateError(f"{logical_id}: its definition is not a local path: {location}")
        path = template.local_path(location["Key"])
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise TemplateError(f"{logical_id}: {path}: {error.strerror}") from error
        if path.suffix in (".yaml", ".yml"):
            text = json.dumps(yaml.safe_load(text))
    else:
        text = properties["DefinitionString"]
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        text = text.replace("${" + name + "}", str(value))
    missing = sorted(set(re.findall(r"\$\{(\w+)\}", text)))
    if missing:
        raise TemplateError(f"{logical_id}: there is no substitution for {', '.join(missing)}")
    return text


def _function(spec: FunctionSpec, client: Any) -> None:
    client.create_function(
        FunctionName=spec.name,
        Runtime=spec.runtime,
        Handler=spec.handler,
        Role=spec.role,
        Code={"ZipFile": _placeholder()},
        Timeout=int(spec.timeout_s),
        MemorySize=spec.memory_mb,
        EphemeralStorage={"Size": spec.ephemeral_mb},
        Environment={"Variables": dict(spec.environment)},
        Description=f"runs from {spec.code}",
    )
    if spec.reserved_concurrency is not None:
        client.put_function_concurrency(
            FunctionName=spec.name, ReservedConcurrentExecutions=spec.reserved_concurrency
        )


def _placeholder() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The pool runs the function from its source.")
    return buffer.getvalue()


_PARTS_OF_FUNCTIONS = (
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    RULE,
)
_CREATORS: dict[str, Callable[[Template, str, Clients], None]] = {
    "AWS::SecretsManager::Secret": _secret,
    "AWS::SQS::Queue": _queue,
    "AWS::IAM::Role": _role,
    "AWS::S3::Bucket": _bucket,
    "AWS::StepFunctions::StateMachine": _state_machine,
}
