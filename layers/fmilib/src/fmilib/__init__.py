"""FMI, the FaaS Message Interface: MPI-like messages between functions.

What programs use is exported here, and imported when it is first asked for.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
HOMES = {
    "Aborted": "fmilib.errors",
    "AuthError": "fmilib.errors",
    "Communicator": "fmilib.api.communicator",
    "Explanation": "fmilib.cost_model.estimate",
    "FmiError": "fmilib.errors",
    "Gathered": "fmilib.api.partial_gather",
    "MismatchError": "fmilib.errors",
    "Op": "fmilib.wire.reductions",
    "OpStats": "fmilib.stats",
    "PeerFailed": "fmilib.errors",
    "RendezvousError": "fmilib.errors",
    "StaleGeneration": "fmilib.errors",
    "Stats": "fmilib.stats",
    "Timeout": "fmilib.errors",
    "connect": "fmilib.api.connect",
    "derive_secret": "fmilib.wire.keys",
    "pairs": "fmilib.wire.reductions",
    "slo": "fmilib.cost_model.hints",
    "withdraw": "fmilib.api.withdraw",
}
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


def __getattr__(name: str) -> Any:
    """What is exported, from the module that has it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    """What is exported, for completion in a notebook."""
    return sorted({*globals(), *HOMES})
