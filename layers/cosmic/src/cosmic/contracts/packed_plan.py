"""A large plan in little memory: what it has by the ten thousand stays text.

A JSON parser builds a tree of the whole text before the first contract is made of it, so the text
is taken apart here, element by element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

from pydantic import TypeAdapter

from cosmic.contracts.packed import Packed
from cosmic.contracts.plan import Plan, PlannedPartition, PlanSettings, RankPlan, parse_plan

_KINDS = {"partitions": PlannedPartition, "ranks": RankPlan}
_SETTINGS = TypeAdapter(PlanSettings)
_SPACE = re.compile(r"[ \t\n\r]*")


def parse_packed_plan(text: bytes) -> Plan:
    """Read a plan that `init` wrote; its partitions and ranks are `Packed`.

    Raises:
        pydantic.ValidationError: the text is not a plan of this version.
    """
    try:
        return _packed(text.decode())
    except (ValueError, RecursionError):
        return parse_plan(text)  # which says what is wrong with it, and where


def _packed(text: str) -> Plan:
    reader, parts, settings = _Reader(text), dict[str, Any](), list[str]()
    for name in reader.members():
        if name in _KINDS:
            parts[name] = Packed(_KINDS[name], (each.encode() for each in reader.elements()))
        else:
            settings.append(f'"{name}":{reader.value()}')
    shared = _SETTINGS.validate_json(f"{{{','.join(settings)}}}")
    fields: dict[str, Any] = {name: getattr(shared, name) for name in PlanSettings.model_fields}
    return Plan(**fields, **parts)


class _Reader:
    """Goes through the text of a JSON object; raises ValueError where it is none."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._decode = JSONDecoder().raw_decode

    def members(self) -> Iterator[str]:
        """The names in the object; who gets one takes what it stands for before the next."""
        yield from self._listed("{", "}", self._name)
        if self._at < len(self._text.rstrip()):
            raise ValueError("there is something behind the object")

    def elements(self) -> Iterator[str]:
        """The text of each element of an array."""
        return self._listed("[", "]", self.value)

    def value(self) -> str:
        """The text of a value."""
        start = self._skip_space()
        self._at = self._decode(self._text, start)[1]
        return self._text[start : self._at]

    def _name(self) -> str:
        name, self._at = self._decode(self._text, self._skip_space())
        self._take(":")
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is no name")
        return name

    def _listed(self, first: str, last: str, take: Any) -> Iterator[str]:
        self._take(first)
        if self._next() == last:
            return self._take(last)
        while True:
            yield take()
            if self._next() == last:
                return self._take(last)
            self._take(",")

    def _take(self, sign: str) -> None:
        if self._next() != sign:
            raise ValueError(f"{sign!r} is missing")
        self._at += 1

    def _next(self) -> str:
        at = self._skip_space()
        return self._text[at : at + 1]

    def _skip_space(self) -> int:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at
