"""The name under which CAI's programs import what `fmi.operations` has."""

from __future__ import annotations

from fmi.operations import COMM_NAME, fmi_communicator

__all__ = ["COMM_NAME", "fmi_communicator"]
