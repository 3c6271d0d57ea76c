"""Serverless inference over astronomical images: what the functions share.

What a program uses is exported here, and imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmic.api import LocalRun, plan_manifest, run_local, validate_manifest
    from cosmic.results.read_catalogue import read_catalogue, read_catalogue_pandas

__version__ = "0.1.0"
__all__ = [
    "LocalRun",
    "plan_manifest",
    "read_catalogue",
    "read_catalogue_pandas",
    "run_local",
    "validate_manifest",
]


def __getattr__(name: str) -> Any:
    """What is exported, from the module that has it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "cosmic.results.read_catalogue" if name.startswith("read_") else "cosmic.api"
    return getattr(import_module(home), name)
