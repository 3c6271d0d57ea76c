"""How many ranks can run at once: what the account and the function's own share allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosmic.storage.aws_errors import translated

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

UNRESERVED = -1
KEPT_FREE = 2  # for init and aggregate, which share the account's unreserved concurrency


def ranks_at_once(functions: LambdaClient, infer: str, ceiling: int) -> int:
    """The most ranks that can run at one time, at least 1.

    Args:
        functions: Lambda's API.
        infer: Name of the function that ranks run in.
        ceiling: The deployment's own limit.

    Raises:
        InputError: Lambda refuses the request.
        TransientError: Lambda didn't answer.
    """
    with translated(f"the concurrency of {infer} can't be read"):
        share = functions.get_function_concurrency(FunctionName=infer)
        most = share.get("ReservedConcurrentExecutions", UNRESERVED)
        if most == UNRESERVED:
            account = functions.get_account_settings()["AccountLimit"]
            most = account["UnreservedConcurrentExecutions"] - KEPT_FREE
    return max(1, min(ceiling, most))
