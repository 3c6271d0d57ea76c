"""IAM's decision on a call, from the policies that a stack's roles really have."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

Statement = dict[str, Any]


def statements(iam: Any, role: str) -> list[Statement]:
    """All statements of a role's inline policies."""
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names
    ]
    return [statement for document in documents for statement in document["Statement"]]


def allowed(granted: list[Statement], action: str, resource: str) -> bool:
    """Whether a call is granted and not denied; without a resource, its action alone counts."""
    matching = [s for s in granted if _matches(s, action, resource)]
    effects = {s["Effect"] for s in matching}
    return effects == {"Allow"}


def _matches(statement: Statement, action: str, resource: str) -> bool:
    actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
    if not any(fnmatchcase(action, pattern) for pattern in actions):
        return False
    return not resource or any(fnmatchcase(resource, pattern) for pattern in resources)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
