"""What can go wrong with the local stack itself."""

from __future__ import annotations

from cosmic.errors import CosmicError, InputError, TransientError


class StackError(CosmicError):
    """The stack could not be started, reached or stopped."""

    code = "local-stack"


class Stopping(StackError):  # noqa: N818
    """The stack, or the execution that an invocation belongs to, is being stopped."""

    code = "stopping"


class DataError(StackError):
    """The folder of a stack's data can't be used, or something in it can't."""

    code = "local-data"


class TemplateError(InputError):
    """The template, or a parameter given for it, cannot be deployed."""

    code = "template"


class UnknownFunction(InputError):  # noqa: N818
    """No function of that name or ARN is deployed."""

    code = "unknown-function"


class PayloadTooLarge(InputError):  # noqa: N818
    """The event is larger than Lambda accepts."""

    code = "payload-too-large"


class Throttled(TransientError):  # noqa: N818
    """A function is at its concurrency, as Lambda's `TooManyRequestsException`.

    Attributes:
        reason: Lambda's own word for which limit was met.
    """

    code = "throttled"

    def __init__(self, function: str, limit: int, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Rate Exceeded. {function} already runs {limit} at once")
