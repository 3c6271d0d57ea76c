"""The published FMI library's Python interface, on fmilib."""

from __future__ import annotations

from fmi.communicator import Communicator
from fmi.kinds import datatypes, func, hints, op, types

__all__ = ["Communicator", "datatypes", "func", "hints", "op", "types"]
