"""The bounds of a rendezvous server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server.

    Attributes:
        prove_s: how long a connection may stay unproven.
        max_unproven: how many may be so at once; beyond, the oldest is dropped.
        max_connections: proven and unproven together; beyond, new ones are dropped.
        memory_s: how long a failed job is remembered.
        rejoin_s: how long those who form a failed job anew wait for the next one to come.
        relay_bytes: how much one job may send through the relay; 0 for no relay.
        withdrawn_s: how long a job is remembered one of whose ranks said that it won't come: as
            long as others may still be on their way.
    """

    prove_s: float = 5.0
    max_unproven: int = 512
    max_connections: int = 8192
    memory_s: float = 60.0
    rejoin_s: float = 15.0
    withdrawn_s: float = 3600.0
    relay_bytes: int = 1 << 30
