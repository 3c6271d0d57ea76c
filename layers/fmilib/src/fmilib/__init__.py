"""FMI, the FaaS Message Interface: MPI-like messages between functions."""

from __future__ import annotations

from fmilib.choice import Explanation, slo
from fmilib.communicator import Communicator
from fmilib.errors import (
    Aborted,
    AuthError,
    FmiError,
    MismatchError,
    PeerFailed,
    RendezvousError,
    StaleGeneration,
    Timeout,
)
from fmilib.joining import connect
from fmilib.keys import derive_secret
from fmilib.ops import Op
from fmilib.reports import Gathered
from fmilib.stats import OpStats, Stats

__version__ = "0.1.0"
__all__ = [
    "Aborted",
    "AuthError",
    "Communicator",
    "Explanation",
    "FmiError",
    "Gathered",
    "MismatchError",
    "Op",
    "OpStats",
    "PeerFailed",
    "RendezvousError",
    "StaleGeneration",
    "Stats",
    "Timeout",
    "connect",
    "derive_secret",
    "slo",
]
