"""Cosmic: serverless photometric redshifts from images.

What programs use is exported here, and imported when it is first asked for.
"""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmic.api import LocalRun, plan_manifest, run_local, validate_manifest
    from cosmic.calibration.measure import Calibration, measure
    from cosmic.calibration.tune import Tuning, tune
    from cosmic.client.deployment import Deployment
    from cosmic.client.list_runs import ListedRun
    from cosmic.client.plan import PlannedRun, RateSource
    from cosmic.client.progress import Progress
    from cosmic.client.run import Run
    from cosmic.client.snapshots import Snapshot
    from cosmic.contracts.flags import Flag
    from cosmic.contracts.manifest import Manifest
    from cosmic.contracts.plan import Plan
    from cosmic.contracts.status import State, Status
    from cosmic.data.pack.choices import Choices
    from cosmic.data.pack.look import look
    from cosmic.data.pack.pack import Packed, pack
    from cosmic.errors import CosmicError, InputError, InvalidInput, TransientError
    from cosmic.model.convert.convert import convert
    from cosmic.model.training.recipe import Recipe
    from cosmic.model.training.train_model import train_model
    from cosmic.report.paper_figures import write_plots
    from cosmic.results.read_catalogue import read_catalogue, read_catalogue_pandas

logging.getLogger("cosmic").addHandler(logging.NullHandler())  # quiet unless configured
if "COSMIC_LOG" in os.environ:
    import_module("cosmic.logs").log_as_asked()

__version__ = "0.1.0"
HOMES = {
    "Calibration": "cosmic.calibration.measure",
    "Choices": "cosmic.data.pack.choices",
    "CosmicError": "cosmic.errors",
    "Deployment": "cosmic.client.deployment",
    "Flag": "cosmic.contracts.flags",
    "InputError": "cosmic.errors",
    "InvalidInput": "cosmic.errors",
    "ListedRun": "cosmic.client.list_runs",
    "LocalRun": "cosmic.api",
    "Manifest": "cosmic.contracts.manifest",
    "Packed": "cosmic.data.pack.pack",
    "Plan": "cosmic.contracts.plan",
    "PlannedRun": "cosmic.client.plan",
    "Progress": "cosmic.client.progress",
    "RateSource": "cosmic.client.plan",
    "Recipe": "cosmic.model.training.recipe",
    "Run": "cosmic.client.run",
    "Snapshot": "cosmic.client.snapshots",
    "State": "cosmic.contracts.status",
    "Status": "cosmic.contracts.status",
    "TransientError": "cosmic.errors",
    "Tuning": "cosmic.calibration.tune",
    "convert": "cosmic.model.convert.convert",
    "look": "cosmic.data.pack.look",
    "measure": "cosmic.calibration.measure",
    "pack": "cosmic.data.pack.pack",
    "plan_manifest": "cosmic.api",
    "read_catalogue": "cosmic.results.read_catalogue",
    "read_catalogue_pandas": "cosmic.results.read_catalogue",
    "run_local": "cosmic.api",
    "train_model": "cosmic.model.training.train_model",
    "tune": "cosmic.calibration.tune",
    "validate_manifest": "cosmic.api",
    "write_plots": "cosmic.report.paper_figures",
}
__all__ = [
    "Calibration",
    "Choices",
    "CosmicError",
    "Deployment",
    "Flag",
    "InputError",
    "InvalidInput",
    "ListedRun",
    "LocalRun",
    "Manifest",
    "Packed",
    "Plan",
    "PlannedRun",
    "Progress",
    "RateSource",
    "Recipe",
    "Run",
    "Snapshot",
    "State",
    "Status",
    "TransientError",
    "Tuning",
    "convert",
    "look",
    "measure",
    "pack",
    "plan_manifest",
    "read_catalogue",
    "read_catalogue_pandas",
    "run_local",
    "train_model",
    "tune",
    "validate_manifest",
    "write_plots",
]


def __getattr__(name: str) -> Any:
    """What is exported, from the module that has it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    """What is exported, for completion in a notebook."""
    return sorted({*globals(), *HOMES})
