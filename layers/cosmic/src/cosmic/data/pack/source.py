"""What every file of data looks like to a packer: equally long fields, read by row range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.errors import InputError

Array = NDArray[Any]


@dataclass(frozen=True)
class Field:
    """One field of a file.

    Attributes:
        dtype: As NumPy or the format names it.
        row_shape: Shape of one row; empty for a number.
        unit: As the file says it, or an empty string.
        read: Rows from the first number up to and without the second, as stored.
    """

    dtype: str
    row_shape: tuple[int, ...]
    read: Callable[[int, int], Array]
    unit: str = ""


@dataclass(frozen=True)
class Source:
    """An open file of data.

    Attributes:
        path: The file, or the folder of `.npy` files.
        format: Its format's name.
        fields: By the name that the file gives them.
        metadata: What else the file says of itself.
        close: Lets go of the file.
    """

    path: Path
    format: str
    rows: int
    fields: Mapping[str, Field]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None


def unreadable(path: Path, why: object) -> InputError:
    """The error for a file that is not what its name says."""
    hint = "check that it is whole and what its name says"
    return InputError(f"{path}: {why}", code="bad-partition", hint=hint)


def from_arrays(path: Path, layout: str, arrays: Mapping[str, Array]) -> Source:
    """A source of arrays whose first axes are rows.

    Raises:
        InputError: they are not equally long, or there are none.
    """
    rows = {len(a) if a.ndim else 0 for a in arrays.values()}
    if len(rows) != 1:
        shapes = {name: list(a.shape) for name, a in arrays.items()}
        raise unreadable(path, f"its arrays are not equally long: {shapes}")
    fields = {name: array_field(array) for name, array in arrays.items()}
    return Source(path, layout, rows.pop(), fields)


def array_field(array: Array, unit: str = "") -> Field:
    """A field that lies in memory, or is mapped into it."""
    return Field(str(array.dtype), array.shape[1:], lambda a, b: np.asarray(array[a:b]), unit)
