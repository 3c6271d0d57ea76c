"""The numbers at the head of the page, and what stands under them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cosmic.contracts.clocks import THIS_MACHINE
from cosmic.contracts.status import State
from cosmic.report.document import ReportDocument
from cosmic.report.headline import Tile, headline
from report_support.samples import sample


def tiles(document: ReportDocument) -> dict[str, Tile]:
    return {tile.name: tile for tile in headline(document)}


def billed(**more: Any) -> ReportDocument:
    document = sample(2, 300)
    metrics = {**document.metrics, "bill": {**document.metrics["bill"], **more}}
    return document.model_copy(update={"metrics": metrics})


def test_a_failed_run_says_so_first() -> None:
    problem = {"pointer": "", "code": "rows-missing", "message": "100 of 300 rows", "hint": ""}
    failed = sample(2, 300, state=State.FAILED, rows_out=200, problems=(problem,))
    first = headline(failed)[0]
    assert (first.name, first.value) == ("this run failed", "rows-missing")
    assert "100 of 300 rows" in first.note
    assert tiles(failed)["objects"].note == "of 300; 100 missing, 3 flagged"
    assert headline(sample(2, 300))[0].name == "objects"


def test_bias_is_called_by_its_name() -> None:
    found = tiles(sample(2, 300))
    assert found["mean bias"].note == "mean of dz"
    assert "bias" not in found


def test_time_of_this_machine_is_no_bill_of_aws() -> None:
    assert "cost on AWS" in tiles(sample(2, 300))
    expected = {"usd": 0.25, "wall_s": 31.0}
    found = tiles(billed(clock=THIS_MACHINE, predicted_on_aws=expected))
    assert "cost on AWS" not in found
    assert found["this machine's time"].note.startswith("at AWS's prices, not a bill")
    assert found["expected on AWS"].value == "$0.2500"
    assert "31.0 s" in found["expected on AWS"].note
    assert "expected on AWS" not in tiles(billed(clock=THIS_MACHINE, predicted_on_aws=None))
