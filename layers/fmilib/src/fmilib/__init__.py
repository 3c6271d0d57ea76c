"""FMI, the FaaS Message Interface: MPI-like messages between functions."""

from __future__ import annotations

import logging

from fmilib.api.communicator import Communicator
from fmilib.api.connect import connect
from fmilib.api.partial_gather import Gathered
from fmilib.api.withdraw import withdraw
from fmilib.cost_model.estimate import Explanation
from fmilib.cost_model.hints import slo
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
from fmilib.stats import OpStats, Stats
from fmilib.wire.keys import derive_secret
from fmilib.wire.reductions import Op, pairs

logging.getLogger("fmilib").addHandler(logging.NullHandler())  # quiet unless configured

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
    "pairs",
    "slo",
    "withdraw",
]
