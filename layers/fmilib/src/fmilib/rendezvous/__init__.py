"""The rendezvous: where ranks of a job find each other, and learn when one is lost."""

from __future__ import annotations

from fmilib.rendezvous.limits import Limits
from fmilib.rendezvous.server import Server

__all__ = ["Limits", "Server"]
