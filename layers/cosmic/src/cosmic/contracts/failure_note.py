"""A failure note: what the state machine writes of a rank that failed for good."""

from __future__ import annotations

import json

from pydantic import Field, TypeAdapter

from cosmic.contracts.contract import Contract


class FailureNote(Contract):
    """Why a rank failed.

    Attributes:
        error: The error's name, as Step Functions has it.
        cause: A Lambda error's JSON, or plain text if the process died.
    """

    rank: int = Field(ge=0)
    error: str
    cause: str

    @property
    def reason(self) -> str:
        """The error's name and its message."""
        return f"{self.error}: {plain_cause(self.cause)}"


def plain_cause(cause: str) -> str:
    """What an error says, of the JSON in which Lambda tells it; other texts as they are."""
    try:
        document = json.loads(cause)
    except ValueError:
        return cause
    return str(document.get("errorMessage", cause)) if isinstance(document, dict) else cause


_ADAPTER = TypeAdapter(FailureNote)


def parse_failure(text: bytes) -> FailureNote:
    """Read a note that the state machine wrote.

    Raises:
        pydantic.ValidationError: the text is not such a note.
    """
    return _ADAPTER.validate_json(text)
