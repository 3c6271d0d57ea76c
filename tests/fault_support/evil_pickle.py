"""A pickle that does harm where it is run."""

from __future__ import annotations

from typing import Any


class Evil:
    """Calls something where it is unpickled.

    Args:
        call: The function and its arguments.
    """

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]
