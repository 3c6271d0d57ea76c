"""A small fuzzer: valid inputs, broken in seeded ways, until the time is up.

FUZZ_SECONDS (default 8) says how long each target runs, FUZZ_SEED where it begins; a failure
names the seed of its round, with which it can be run again alone.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = float(os.environ.get("FUZZ_SECONDS", "8"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
MIN_ROUNDS = 50
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def seeds() -> Iterator[int]:
    """Yield one seed after the other until the time is up."""
    until, number = time.monotonic() + SECONDS, FIRST_SEED
    while time.monotonic() < until or number - FIRST_SEED < MIN_ROUNDS:
        yield number
        number += 1


@contextmanager
def chance(seed: int) -> Iterator[random.Random]:
    """Yield a round's source of chance; an error in the round says the seed."""
    try:
        yield random.Random(seed)  # noqa: S311
    except BaseException as error:
        error.add_note(f"FUZZ_SEED={seed}")
        raise


def broken(raw: bytes, rng: random.Random) -> bytes:
    """Return `raw` with a few changes of every kind."""
    data = bytearray(raw)
    for _ in range(rng.choice((0, 1, 1, 2, 4, 16))):
        _change(data, rng)
    return bytes(data)


def _change(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        data[at : at + 1] = bytes([rng.choice(_INTERESTING)])
    elif kind == 1:
        data[at : at + 1] = rng.randbytes(1)
    elif kind == 2:
        data[at:at] = rng.randbytes(rng.choice((1, 4, 300)))
    elif kind == 3:
        del data[at : at + rng.choice((1, 8, 200))]
    elif kind == 4:
        data[at : at + 8] = rng.choice((b"\xff" * 8, bytes(8), (1 << 40).to_bytes(8, "little")))
    else:
        data[at:at] = data[: rng.choice((16, 96, 400))]
