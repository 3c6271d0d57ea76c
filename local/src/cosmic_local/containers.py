"""A built template whose functions find a running local stack from within their containers."""

from __future__ import annotations

import json
from pathlib import Path

from cosmic_local.stack import StackHandle
from cosmic_local.template.template import read

NAME = "local.json"


def template_for(built: Path, stack: StackHandle) -> Path:
    """Write a built template anew, with the variables that the stack has settled.

    `sam local` overrides only variables that a template names, and settles few intrinsics.

    Args:
        built: What `sam build` wrote.
        stack: A running stack; containers must reach its endpoint.

    Returns:
        The new template, beside the built one.

    Raises:
        TemplateError: the built template can't be read.
    """
    document = read(built)
    client = stack.client("lambda")
    for logical_id, function in stack.functions.items():
        found = client.get_function_configuration(FunctionName=function.name)
        variables = {**found["Environment"]["Variables"], "AWS_ENDPOINT_URL": stack.endpoint_url}
        document["Resources"][logical_id]["Properties"]["Environment"] = {"Variables": variables}
    path = built.with_name(NAME)
    path.write_text(json.dumps(document, indent=1))
    return path
