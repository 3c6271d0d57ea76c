"""Contracts by the ten thousand in little memory: compressed text, parsed where it is looked at."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar, overload

from pydantic import TypeAdapter

from cosmic.contracts.numerous import Numerous

TOGETHER = 128
FAST = 1  # of zlib's levels: the texts repeat each other, and the higher ones save little more

Kind = TypeVar("Kind", bound=Numerous)


class _Open(NamedTuple, Generic[Kind]):
    """The contracts that are parsed at the moment."""

    number: int
    contracts: Sequence[Kind]


class Packed(Sequence[Kind]):
    """Contracts of one kind that don't change.

    They are compressed, and parsed again, `TOGETHER` at a time; those that were parsed last stay.
    So going through them in order is cheap and jumping about is not. A rank's record of 3.6 KB
    takes some 200 bytes.

    Args:
        kind: Of the contracts.
        texts: The JSON of each. What is no such contract is found out where it is looked at.
    """

    def __init__(self, kind: type[Kind], texts: Iterable[bytes]) -> None:
        self._adapter: TypeAdapter[list[Kind]] = TypeAdapter(list[kind])  # type: ignore[valid-type]
        self._packs: list[bytes] = []
        self._size = 0
        self._open = _Open[Kind](-1, ())
        source = iter(texts)
        while some := list(islice(source, TOGETHER)):
            self._packs.append(zlib.compress(b"[" + b",".join(some) + b"]", FAST))
            self._size += len(some)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> Kind: ...

    @overload
    def __getitem__(self, at: slice) -> list[Kind]: ...

    def __getitem__(self, at: int | slice) -> Kind | list[Kind]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self._size))]
        place = range(self._size)[at]  # counts from the end, and refuses, as a list does
        return self._opened(place // TOGETHER)[place % TOGETHER]

    def __iter__(self) -> Iterator[Kind]:
        for number in range(len(self._packs)):
            yield from self._opened(number)

    def _opened(self, number: int) -> Sequence[Kind]:
        found = self._open  # another thread may replace it
        if found.number != number:
            text = zlib.decompress(self._packs[number])
            found = self._open = _Open(number, self._adapter.validate_json(text))
        return found.contracts
