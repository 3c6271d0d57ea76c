"""Reading what a proven rank claims."""

from __future__ import annotations

import math

from fmilib.config import MAX_GENERATION, MAX_RANKS
from fmilib.errors import RendezvousError
from fmilib.rendezvous.members import Claim, Withdrawal
from fmilib.wire.control_frames import Message, field
from fmilib.wire.failure import MAX_WORDS

MIN_LEASE_S, MAX_LEASE_S = 0.2, 300.0


def read_claim(hello: Message, request: Message, seen: tuple[str, int]) -> Claim:
    """Return what a proven rank claims.

    Raises:
        RendezvousError: a field is missing or out of its bounds.
    """
    lease_s = float(field(request, "lease_s", float))
    claim = Claim(
        job=field(hello, "job", str),
        rank=field(hello, "rank", int),
        size=field(hello, "size", int),
        generation=field(hello, "generation", int),
        instance=field(hello, "instance", str),
        address=(field(request, "host", str), field(request, "port", int)),
        lease_s=min(max(lease_s, MIN_LEASE_S), MAX_LEASE_S),
        epoch=field(request, "epoch", int),
        rejoin=request.get("rejoin") is True,
        seen=seen if request.get("own_port") is True else None,
    )
    if not (
        _is_place(claim.rank, claim.size, claim.generation)
        and math.isfinite(lease_s)
        and 0 < claim.address[1] < 65536
        and len(claim.address[0]) <= 255
    ):
        raise RendezvousError("a claim that is out of bounds")
    return claim


def read_withdrawal(hello: Message, request: Message) -> Withdrawal:
    """Return what a proven rank says that won't come.

    Raises:
        RendezvousError: a field is missing or out of its bounds.
    """
    found = Withdrawal(
        job=field(hello, "job", str),
        rank=field(hello, "rank", int),
        size=field(hello, "size", int),
        generation=field(hello, "generation", int),
        reason=field(request, "reason", str)[:MAX_WORDS],
    )
    if not _is_place(found.rank, found.size, found.generation):
        raise RendezvousError("a withdrawal that is out of bounds")
    return found


def _is_place(rank: int, size: int, generation: int) -> bool:
    return 1 <= size <= MAX_RANKS and 0 <= rank < size and 0 <= generation <= MAX_GENERATION
