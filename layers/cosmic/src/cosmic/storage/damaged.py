"""Objects of our own that can't be read: named, with what is wrong with them and the way out.

Anyone who may write to the bucket can damage them, and another version of Cosmic may have written
more fields. Nothing is guessed then: an object is read completely or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from cosmic.contracts.location import Location
from cosmic.errors import InputError, plain

MOST_SHOWN = 3
RESTORE = "restore the version of the object that was written first, or submit the manifest again"
RESTORE_STATUS = (
    "restore an earlier version of the object, or submit the manifest again; if the run still goes "
    "on, its end will replace it"
)
RESUME = "`cosmic resume` computes that rank again"
DELETE = "delete the object; `cosmic resume` then merges the existing shards"
READ_FILES = "the catalogue is not touched by this: `cosmic results` copies it"

Parsed = TypeVar("Parsed")


def parsed(
    parse: Callable[[bytes], Parsed], text: bytes, at: Location, hint: str = RESTORE
) -> Parsed:
    """One of our own objects, read by its contract.

    Args:
        hint: The way out if it is damaged.

    Raises:
        InputError: it is damaged, or another version of Cosmic wrote it.
    """
    try:
        return parse(text)
    except ValidationError as error:
        raise damaged(at, reasons(error), hint) from error


def damaged(at: Location, why: str, hint: str = RESTORE) -> InputError:
    """The error that names an object that can't be used."""
    message = f"{at.uri} is damaged, or was written by another version of Cosmic: {why}"
    return InputError(message, code="damaged", hint=hint)


def reasons(error: ValidationError) -> str:
    """The first things that a contract finds wrong, in one line."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    shown = [_line(e["loc"], e["msg"]) for e in found[:MOST_SHOWN]]
    more = [f"and {len(found) - MOST_SHOWN} more"] if len(found) > MOST_SHOWN else []
    return "; ".join([*shown, *more])


def _line(loc: tuple[int | str, ...], message: str) -> str:
    where = "/".join(str(part) for part in loc)
    return plain(f"{where}: {message}" if where else message)
