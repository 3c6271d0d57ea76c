"""Errors in three families: the user's to fix, worth a retry, or a lost conversation between ranks.

The bottom of the import graph: standard library only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class CosmicError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        code: Stable, machine-readable name in kebab case.
        message: What is wrong, with the value seen.
        hint: The way out, or an empty string.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class InputError(CosmicError):
    """The user's to fix; never retried."""

    code = "invalid-input"


class TransientError(CosmicError):
    """May go away by itself; the state machine retries it."""

    code = "transient"


class CommunicationError(CosmicError):
    """Ranks lost each other; the run degrades and still finishes."""

    code = "communication"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the document, or an S3 URI.
        message: What is wrong.
        value: The value seen, as JSON (None if there was none).
        hint: The way out.
        code: Stable name in kebab case.
    """

    pointer: str
    message: str
    value: Any = None
    hint: str = ""
    code: str = "invalid-value"

    def __str__(self) -> str:
        where = self.pointer or "/"
        return f"{where}: {self.message}" + (f" ({self.hint})" if self.hint else "")

    def as_dict(self) -> dict[str, Any]:
        """The problem as plain JSON."""
        return asdict(self)


class InvalidInput(InputError):  # noqa: N818
    """Several problems found in one pass over an input.

    Attributes:
        problems: All of them, in the order of the document.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"{count}: " + "; ".join(str(p) for p in problems))
