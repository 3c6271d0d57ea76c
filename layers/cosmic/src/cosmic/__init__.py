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
    from cosmic.model.training.own_sky import OwnRecipe, train_on
    from cosmic.model.training.recipe import Recipe
    from cosmic.model.training.train_model import train_model
    from cosmic.report.paper_figures import write_plots
    from cosmic.results.compare import Compared, compare, read_metrics
    from cosmic.results.hats.write_hats import HatsCatalogue, write_hats
    from cosmic.results.qp_ensemble import write_qp
    from cosmic.results.read_catalogue import read_catalogue, read_catalogue_pandas
    from cosmic.workstation.predict import Prediction, predict
    from cosmic.workstation.put import PutData, put_data

logging.getLogger("cosmic").addHandler(logging.NullHandler())  # quiet unless configured
if "COSMIC_LOG" in os.environ:
    import_module("cosmic.logs").log_as_asked()

__version__ = "0.1.0"
HOMES = {
    "Calibration": "cosmic.calibration.measure",
    "Choices": "cosmic.data.pack.choices",
    "Compared": "cosmic.results.compare",
    "CosmicError": "cosmic.errors",
    "Deployment": "cosmic.client.deployment",
    "Flag": "cosmic.contracts.flags",
    "HatsCatalogue": "cosmic.results.hats.write_hats",
    "InputError": "cosmic.errors",
    "InvalidInput": "cosmic.errors",
    "ListedRun": "cosmic.client.list_runs",
    "LocalRun": "cosmic.api",
    "Manifest": "cosmic.contracts.manifest",
    "OwnRecipe": "cosmic.model.training.own_sky",
    "Packed": "cosmic.data.pack.pack",
    "Plan": "cosmic.contracts.plan",
    "PlannedRun": "cosmic.client.plan",
    "Prediction": "cosmic.workstation.predict",
    "Progress": "cosmic.client.progress",
    "PutData": "cosmic.workstation.put",
    "RateSource": "cosmic.client.plan",
    "Recipe": "cosmic.model.training.recipe",
    "Run": "cosmic.client.run",
    "Snapshot": "cosmic.client.snapshots",
    "State": "cosmic.contracts.status",
    "Status": "cosmic.contracts.status",
    "TransientError": "cosmic.errors",
    "Tuning": "cosmic.calibration.tune",
    "compare": "cosmic.results.compare",
    "convert": "cosmic.model.convert.convert",
    "look": "cosmic.data.pack.look",
    "measure": "cosmic.calibration.measure",
    "pack": "cosmic.data.pack.pack",
    "plan_manifest": "cosmic.api",
    "predict": "cosmic.workstation.predict",
    "put_data": "cosmic.workstation.put",
    "read_catalogue": "cosmic.results.read_catalogue",
    "read_catalogue_pandas": "cosmic.results.read_catalogue",
    "read_metrics": "cosmic.results.compare",
    "run_local": "cosmic.api",
    "train_on": "cosmic.model.training.own_sky",
    "train_model": "cosmic.model.training.train_model",
    "tune": "cosmic.calibration.tune",
    "validate_manifest": "cosmic.api",
    "write_hats": "cosmic.results.hats.write_hats",
    "write_plots": "cosmic.report.paper_figures",
    "write_qp": "cosmic.results.qp_ensemble",
}
__all__ = [
    "Calibration",
    "Choices",
    "Compared",
    "CosmicError",
    "Deployment",
    "Flag",
    "HatsCatalogue",
    "InputError",
    "InvalidInput",
    "ListedRun",
    "LocalRun",
    "Manifest",
    "OwnRecipe",
    "Packed",
    "Plan",
    "PlannedRun",
    "Prediction",
    "Progress",
    "PutData",
    "RateSource",
    "Recipe",
    "Run",
    "Snapshot",
    "State",
    "Status",
    "TransientError",
    "Tuning",
    "compare",
    "convert",
    "look",
    "measure",
    "pack",
    "plan_manifest",
    "predict",
    "put_data",
    "read_catalogue",
    "read_catalogue_pandas",
    "read_metrics",
    "run_local",
    "train_model",
    "train_on",
    "tune",
    "validate_manifest",
    "write_hats",
    "write_plots",
    "write_qp",
]


def __getattr__(name: str) -> Any:
    """What is exported, from the module that has it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(HOMES[name]), name)
    except ModuleNotFoundError as error:
        raise import_module("cosmic.extras").not_installed(error) from error


def __dir__() -> list[str]:
    """What is exported, for completion in a notebook."""
    return sorted({*globals(), *HOMES})
