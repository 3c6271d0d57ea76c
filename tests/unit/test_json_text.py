"""A document that is written piece by piece is the one that would be written at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_core import to_json

from cosmic.storage.json_text import listed

ITEMS: list[dict[str, Any]] = [
    {"rank": 0, "shares": {}, "list": [], "text": 'a "line"\nand é [\n]'},
    {"rank": 1, "shares": {"download": 0.1, "deep": {"er": [1, [2, {}]]}}, "none": None},
]


def by_pydantic(value: Any) -> bytes:
    return to_json(value, indent=1)


def by_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


@pytest.mark.parametrize("dumped", [by_pydantic, by_json])
@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("document", [{"a": {"b": [1]}, "c": []}, {}])
def test_it_is_the_same_text(
    dumped: Callable[[Any], bytes], count: int, document: dict[str, Any]
) -> None:
    items = ITEMS[:count]
    text = b"".join(listed(dumped, document, "ranks", iter(items)))
    assert text == dumped({**document, "ranks": items})
