"""Object ids that are text: which texts may be one, and how a partition stores them.

A text id is 1 to 64 printable ASCII characters and doesn't end with a blank, so that Parquet and
FITS both give it back as it is: text in a FITS table is ASCII, and blanks at its end mean nothing
(FITS standard 4.0, section 7.3.3.1). In memory ids are NumPy's `S`; a partition stores them as
uint8 (rows, width), filled up with NUL, so that all rows of a column are equally long.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from cosmic.errors import InputError

MOST_BYTES = 64
STORED = np.dtype("u1")
RULE = f"1 to {MOST_BYTES} printable ASCII characters, the last one no blank"
_TEXT_ID = re.compile(rb"[ -~]{0,%d}[!-~]" % (MOST_BYTES - 1))
SHOWN_ROWS = 5


def is_text_id(text: bytes) -> bool:
    """Whether a text may be an id."""
    return bool(_TEXT_ID.fullmatch(text))


def stored_ids(ids: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Ids (N,) as a partition stores them: uint8 (N, width), as wide as the longest."""
    width = max(1, int(np.strings.str_len(ids).max(initial=0)))
    return np.ascontiguousarray(ids, f"S{width}").view(STORED).reshape(len(ids), width)


def restored_ids(stored: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Ids (N,) of what a partition stores; neither copied nor checked."""
    return np.ascontiguousarray(stored).view(f"S{stored.shape[1]}")[:, 0]


def check_ids(ids: NDArray[np.bytes_], where: str, first_row: int = 0) -> None:
    """Refuse texts that can't be ids.

    Args:
        ids: Ids (N,) of consecutive rows.
        where: The file, for messages.
        first_row: Number of the first of these rows in it.

    Raises:
        InputError: some can't; it names the first rows.
    """
    odd = [i for i, text in enumerate(ids.tolist()) if not is_text_id(text)]
    if odd:
        seen = ", ".join(f"{first_row + i} ({bytes(ids[i])!r})" for i in odd[:SHOWN_ROWS])
        message = f"{where}: object_id is not {RULE}: rows {seen}, counted from 0"
        raise InputError(
            message, code="bad-partition", hint="pack it again with `cosmic data pack`"
        )
