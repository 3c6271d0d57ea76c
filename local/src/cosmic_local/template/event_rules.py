"""EventBridge's part in a run: rules that give notices of the template's own executions on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmic_local.errors import TemplateError
from cosmic_local.template.template import Template

RULE = "AWS::Events::Rule"


@dataclass(frozen=True)
class Rule:
    """Which events go to which functions.

    Attributes:
        pattern: EventBridge's pattern: lists of exact values, by field.
        targets: ARNs of functions.
    """

    pattern: Mapping[str, Any]
    targets: tuple[str, ...]


def rules_of(template: Template) -> list[Rule]:
    """All rules with a pattern in a template.

    Raises:
        TemplateError: a pattern has a filter other than exact values.
    """
    found = []
    for logical_id, resource in template.resolver.resources.items():
        properties = template.resolver.properties(logical_id) if resource["Type"] == RULE else {}
        if "EventPattern" in properties:
            _check(logical_id, properties["EventPattern"])
            targets = tuple(target["Arn"] for target in properties.get("Targets", []))
            found.append(Rule(properties["EventPattern"], targets))
    return found


def _check(logical_id: str, pattern: Any) -> None:
    for value in pattern.values():
        if isinstance(value, dict):
            _check(logical_id, value)
        elif not all(isinstance(item, str) for item in value):
            message = f"{logical_id}: a rule filters by {value}"
            raise TemplateError(message, hint="the local stack supports exact values only")


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event has one of the values of each of a pattern's fields."""
    return all(
        matches(wanted, event.get(field, {}))
        if isinstance(wanted, dict)
        else event.get(field) in wanted
        for field, wanted in pattern.items()
    )


def execution_notice(described: Mapping[str, Any]) -> dict[str, Any]:
    """EventBridge's notice of an execution's change, of what `DescribeExecution` says of it."""
    milliseconds = {
        name: int(described[name].timestamp() * 1000) for name in ("startDate", "stopDate")
    }
    return {
        "version": "0",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "resources": [described["executionArn"]],
        "detail": {
            **{k: str(described[k]) for k in ("executionArn", "stateMachineArn", "name", "input")},
            "status": getattr(described["status"], "value", described["status"]),
            **{k: described.get(k) for k in ("error", "cause")},
            **milliseconds,
        },
    }
