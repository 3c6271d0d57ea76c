"""A user's own files, read with errors that say what to do."""

from __future__ import annotations

from pathlib import Path

from cosmic.errors import InputError


def read_file(path: Path) -> bytes:
    """A whole file.

    Raises:
        InputError: it is not there, or can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = "check its name and folder"
        raise InputError(f"{path} is not there", code="not-found", hint=hint) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", code="unreadable") from error
