"""The file layouts that a partition may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cosmic.contracts.columns import Header
from cosmic.contracts.contract import FormatName
from cosmic.data import native, pt
from cosmic.data.ranges import Window
from cosmic.errors import Problem

HEADER_ATTEMPTS = 3


class HeaderReader(Protocol):
    """Reads and checks a file's table of contents, or returns all that is wrong with it."""

    def __call__(
        self, read: Callable[[int, int], bytes], file_bytes: int, where: str
    ) -> Header | list[Problem]:
        """Read it by `read(offset, length)`; `where` is the file's URI, for messages."""
        ...


@dataclass(frozen=True)
class Format:
    """A layout: how its files' names end, and who reads their table of contents."""

    suffix: str
    read_header: HeaderReader

    def is_partition(self, name: str) -> bool:
        """Whether a name below the data's folder is a partition's.

        Hidden files (`._0.safetensors`, `.ipynb_checkpoints/0.safetensors`) are leftovers of
        operating systems and editors, whatever their names end in.

        Args:
            name: The path below the folder, with slashes.
        """
        hidden = any(part.startswith(".") for part in name.split("/"))
        return name.endswith(self.suffix) and not hidden


FORMATS: dict[FormatName, Format] = {
    "safetensors": Format(".safetensors", native.read_header),
    "pt": Format(".pt", pt.read_header),
}


def read_header(
    name: FormatName, read: Callable[[int, int], bytes], file_bytes: int, where: str
) -> Header | list[Problem]:
    """A partition's table of contents, or all that is wrong with it.

    It has no checksum: what is wrong with it may be so on its way here alone, so it is read again.
    """
    found: Header | list[Problem] = []
    for _ in range(HEADER_ATTEMPTS):
        found = FORMATS[name].read_header(Window(read, file_bytes).read, file_bytes, where)
        if isinstance(found, Header):
            break
    return found
