"""Object ids of any file: whole numbers where all are, else text, exactly as they were."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from cosmic.contracts.text_ids import MOST_BYTES, RULE, is_text_id
from cosmic.data.pack.source import SHOWN_ROWS, Array, Field, RowsRefused, Values

MOST = np.iinfo(np.int64).max
PLAIN_DIGITS = re.compile(r"(0|-?[1-9][0-9]*)", re.ASCII)
HINT = "correct them, or number the objects with --number-objects"


def first_text_id(ids: Field, step: int) -> str | None:
    """The first id that is no whole number which int64 holds, and so has to be kept as text.

    Text that is such a number, written in the one way in which it would be written again, is one.

    Args:
        ids: The field.
        step: Rows that are read at a time.

    Raises:
        InputError: the field can't be read.
    """
    if ids.kind == "i":
        return None
    for start in range(0, ids.rows, step):
        values = ids.read(start, min(start + step, ids.rows))
        known = _flat(values)[~values.missing_rows()]
        texts = (_bytes(v).decode("utf-8", "backslashreplace") for v in _candidates(known))
        found = next((text for text in texts if not _is_whole(text)), None)
        if found is not None:
            return found
    return None


def _candidates(known: Array) -> Array:
    return known[known > MOST] if known.dtype.kind in "iu" else known


def object_ids(values: Values, start: int, *, as_text: bool) -> Array:
    """Ids (N,) exactly as they were, or refused.

    Args:
        values: As a file has them.
        start: Number of the first row.
        as_text: Whether ids of this data set are kept as text, `S`; else they are int64.

    Raises:
        RowsRefused: rows without an id, or with one that can't be kept.
    """
    data = _flat(values)
    if (gone := np.flatnonzero(values.missing_rows())).size:
        raise RowsRefused("object_id is missing", start + gone, hint=HINT)
    if as_text:
        return _texts(data, start)
    if data.dtype.kind in "iu":
        return np.ascontiguousarray(data, dtype=np.int64)
    return np.array([int(v) for v in data], np.int64)


def as_texts(ids: Array) -> Array:
    """Ids (N,) as `S`; whole numbers in decimal digits."""
    return ids if ids.dtype.kind == "S" else ids.astype("S")


def _flat(values: Values) -> Array:
    return values.data[:, 0] if values.data.shape[1:] == (1,) else values.data


def _texts(data: Array, start: int) -> Array:
    if data.dtype.kind in "iu":
        return as_texts(data)
    texts = [_bytes(value) for value in data]
    odd = [i for i, text in enumerate(texts) if not is_text_id(text)]
    if odd:
        raise _refused(odd, texts, start)
    return np.array(texts, "S")


def _refused(odd: Sequence[int], texts: Sequence[bytes], start: int) -> RowsRefused:
    shown = [
        texts[i][: MOST_BYTES + 1].decode("utf-8", "backslashreplace") for i in odd[:SHOWN_ROWS]
    ]
    return RowsRefused(
        f"object_id is not {RULE}", [start + i for i in odd], [repr(s) for s in shown], HINT
    )


def _is_whole(text: str) -> bool:
    """Whether it is an int64 written in the one way in which it would be written again."""
    digits = len(text) <= len(str(-MOST)) and PLAIN_DIGITS.fullmatch(text)
    return bool(digits) and -MOST - 1 <= int(text) <= MOST


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
