"""Problems of a plan in the words of who called: files, not places in a manifest or a bucket."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cosmic.errors import InvalidInput, Problem
from cosmic.workstation.plan_here import HERE


@dataclass(frozen=True)
class OwnWords:
    """What a plan calls the files of this machine, and what its user does.

    Attributes:
        given: What is read, by name.
        model: The checkpoint's name.
        packed: The folder of the partitions that were made of what was given.
    """

    given: tuple[str, ...]
    model: str
    packed: Path

    def text(self, said: str) -> str:
        """A text with files in the place of URIs."""
        here = said.replace(f"s3://{HERE}/", "/")
        of_packed = re.escape(str(self.packed.absolute())) + r"/\d+\.safetensors"
        return re.sub(of_packed, lambda _: self._input, here)

    def problems(self, found: Iterable[Problem]) -> InvalidInput:
        """An error with the same problems."""
        return InvalidInput([self._problem(each) for each in found])

    def _problem(self, each: Problem) -> Problem:
        places = {"/model/uri": self.model, "/data/partitions": self._input}
        pointer = places.get(each.pointer) or self.text(each.pointer)
        return replace(each, pointer=pointer, message=self.text(each.message))

    @property
    def _input(self) -> str:
        more = f" and {len(self.given) - 1} more" if len(self.given) > 1 else ""
        return f"{self.given[0]}{more}"
