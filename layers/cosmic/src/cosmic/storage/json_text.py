"""A JSON document with a long list at its end, as text that is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

EMPTY = b"[]\n}"


def listed(
    dumped: Callable[[Any], bytes], document: Mapping[str, Any], name: str, items: Iterable[Any]
) -> Iterator[bytes]:
    """The text of a document with one more member, piece by piece.

    Args:
        dumped: Gives the text of a value, indented by 1; ours is what it would give of the whole.
        document: All else, which comes first.
        name: Of the member.
        items: What it lists: JSON objects.
    """
    yield dumped({**document, name: []}).removesuffix(EMPTY)
    before = b"[\n  "
    for item in items:
        yield before + dumped(item).replace(b"\n", b"\n  ")  # within text there is no newline
        before = b",\n  "
    yield EMPTY if before.startswith(b"[") else b"\n ]\n}"
