"""Takes over the fixtures of fmilib's tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from fmilib_support.fixtures import job, own_rendezvous, ranks, rendezvous

__all__ = ["job", "own_rendezvous", "ranks", "rendezvous"]
