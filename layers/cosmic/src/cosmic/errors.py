"""Errors in three families: the user's to fix, worth a retry, or a lost conversation between ranks.

The bottom of the import graph: standard library only.
"""

from __future__ import annotations

import json
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


MAX_SHOWN_CHARS = 1000
MAX_DEPTH = 32  # writers of JSON give up somewhere above a hundred


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input.

    Whatever the input holds, a problem can be written as JSON: what UTF-8 can't carry (half a
    surrogate pair) is escaped, and a value that is no JSON, or nests too deep, is shown as text.

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

    def __post_init__(self) -> None:
        """Make every part of it writable."""
        for name in ("pointer", "message", "hint"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        object.__setattr__(self, "value", _writable(self.value))

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


def plain(text: str) -> str:
    """Text as UTF-8 can carry it, with halves of surrogate pairs escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def shortened(value: Any, most: int) -> str:
    """A value as JSON text, at most this many characters; for deeply nested values, their type."""
    try:
        text = json.dumps(value, default=str)
    except (ValueError, RecursionError):
        return type(value).__name__
    return text if len(text) <= most else text[: most - 3] + "..."


def _writable(value: Any) -> Any:
    """The value if it is plain JSON, or a text that shows it."""
    if isinstance(value, str):
        return plain(value)
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return shortened(value, MAX_SHOWN_CHARS)
    return value if _depth(value) <= MAX_DEPTH else shortened(value, MAX_SHOWN_CHARS)


def _depth(value: Any) -> int:
    """How deep lists and objects lie in each other, looked at level by level."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        lists = [v.values() if isinstance(v, dict) else v for v in level]
        level = [inner for v in lists if not isinstance(v, str | int | float | None) for inner in v]
        depth += 1
    return depth
