"""What a deployment can do now."""

from __future__ import annotations

from pydantic import ValidationError

from cosmic.client.stack import Stack
from cosmic.contracts.plan import Limits
from cosmic.errors import InputError
from cosmic.planning.concurrency import ranks_at_once
from cosmic.planning.settings import InitSettings


def limits_of(stack: Stack) -> Limits:
    """What the deployment can do now, read from `init`'s own settings.

    Raises:
        InputError: the deployment's `init` is of another version, or can't be read.
    """
    name = stack.outputs.get("InitFunctionName", "")
    configuration = stack.function(name)
    variables = configuration.get("Environment", {}).get("Variables", {})
    try:
        settings = InitSettings.from_environment(variables)
    except ValidationError as error:
        hint = "deploy this version, or use the version that is deployed"
        message = f"{name}'s settings are of another version: {error.error_count()} differ"
        raise InputError(message, code="not-cosmic", hint=hint) from error
    functions = stack.client("lambda")
    return settings.limits(
        ranks_at_once(functions, settings.infer_function, settings.max_world_size)
    )
