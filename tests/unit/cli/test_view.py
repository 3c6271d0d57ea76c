"""The table at a run's end."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from cosmic.client.list_runs import ListedRun
from cosmic.client.progress import Progress
from cosmic.client.snapshots import Snapshot
from cosmic.contracts.clocks import THIS_MACHINE
from cosmic.contracts.status import State, Status
from cosmic.metrics.photo_z import photo_z_metrics
from cosmic_cli.commands.compare import compared_table
from cosmic_cli.commands.runs import runs_table
from cosmic_cli.views import tables
from cosmic_cli.views.run import cost_rows, domain_rows, photo_z_rows, pz_rows, show_progress
from cosmic_cli.views.tables import pairs_table, whole_table


def rows(z_phot: list[float], z_spec: list[float]) -> dict[str, str]:
    phot, spec = np.array(z_phot, np.float32), np.array(z_spec, np.float32)
    return dict(photo_z_rows(photo_z_metrics(phot, spec, np.full(len(phot), 17.0))))


def test_a_metric_that_is_undefined_says_so() -> None:
    assert rows([0.1, 0.2], [0.1, 0.1])["R²"] == "undefined: all z_spec are equal"


def test_what_the_metrics_leave_out_is_said() -> None:
    shown = rows([0.1, 0.2, 0.3, np.nan], [0.1, 0.2, -9, 0.1])
    assert shown["rows with z_spec"] == "2"
    assert shown["left out of the metrics"] == (
        "1 without a prediction, 1 with an implausible z_spec"
    )
    assert "left out of the metrics" not in rows([0.1, 0.2], [0.1, 0.2])


def test_a_run_without_any_metric_says_why() -> None:
    assert rows([0.1], [np.nan]) == {"metrics": "no object has both redshifts: 1 without a z_spec"}


def test_results_of_an_earlier_version_can_be_shown() -> None:
    assert photo_z_rows({"n": 0}) == [("metrics", "no object has both redshifts: there are none")]


def test_the_share_that_is_out_of_domain_is_shown() -> None:
    known = {"domain": {"known": True, "outside": 1200, "share": 0.5}}
    assert domain_rows(known) == [
        ("domain of the model", "1,200 (50.0 %) unlike the training data")
    ]
    unknown = {"domain": {"known": False, "outside": None, "share": None}}
    assert domain_rows(unknown)[0][1].startswith("no domain known")
    assert domain_rows({"version": 1}) == []


@pytest.mark.parametrize("width", [60, 80])
def test_a_bar_with_percentage_time_left_and_cost_fits_the_terminal(width: int) -> None:
    begun = Progress("waiting for init", 0, 0, 0, 0, 0, 0, 0, None, None, 0.0, 0.0)
    going = Progress(
        "inferring", 10_000, 9_000, 500, 499, 1, 10**9, 4 * 10**8, 3e5, 360_000.0, 123.4567, 60.0
    )
    status = Status(run="x", state=State.RUNNING, manifest="m", updated_at="")
    ended = status.model_copy(update={"state": State.SUCCEEDED})
    steps = [
        Snapshot(None, begun),
        Snapshot(status, going),
        Snapshot(ended, replace(going, phase="succeeded", eta_s=None)),
    ]
    text = io.StringIO()
    console = Console(width=width, force_terminal=True, file=text, legacy_windows=False)
    assert show_progress(steps, console) == ended
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()))
    assert max(map(cell_len, lines)) <= width
    shown = lines[-2] if not lines[-1] else lines[-1]
    assert shown.startswith("succeeded")
    assert "40% 499/10000 ranks, 1 failed $123.4567" in shown


def test_time_of_this_machine_is_not_called_a_cost_on_aws() -> None:
    bill = {"usd": 0.5, "usd_per_million_rows": 2.0}
    assert cost_rows(bill)[0][0] == "cost on AWS"
    local = {**bill, "clock": THIS_MACHINE, "predicted_on_aws": {"usd": 0.25, "wall_s": 3.0}}
    assert cost_rows(local) == [
        ("this machine's time at AWS's prices", "$0.500000 ($2.00 per million rows)"),
        ("expected on AWS", "$0.250000 in 3.0 s"),
    ]
    assert cost_rows({"usd": 0.0, "usd_per_million_rows": None}) == []


def test_coverage_of_p_z_is_shown_where_it_is_known() -> None:
    known = {"pz": {"n": 9, "coverage": {"68": 0.7, "90": 0.91}}}
    assert pz_rows(known) == [("inside the 68, 90 % intervals of p(z)", "70.0 %, 91.0 %")]
    assert pz_rows({"pz": {"known": 0, "n": 0}}) == pz_rows({}) == []


@pytest.mark.parametrize("width", [60, 80])
def test_ids_are_never_cut(width: int) -> None:
    ids = [
        "galaxies-04b81e4a575b",
        "a-job-of-a-long-name-0123456789-0123456789ab",
    ]
    listed = [ListedRun(i, "SUCCEEDED", "", "2026-11-28T07:27:06.000+00:00", None, 5) for i in ids]
    for table, first in ((runs_table(listed), 0), (compared_table([], *ids), 1)):
        into = io.StringIO()
        Console(file=into, width=width).print(table)
        printed = into.getvalue()
        cells = [re.split("[│┃]", line)[1:-1] for line in printed.splitlines() if line[0] in "│┃"]
        columns = ["".join(cell.strip() for cell in column) for column in zip(*cells, strict=True)]
        shown = columns[0] if first == 0 else "".join(columns)
        assert all(i in shown for i in ids)


@pytest.mark.parametrize("width", [60, 80])
def test_names_and_values_are_never_cut(width: int) -> None:
    name, value = "a_name_of_a_field_" * 3, "/a/folder/of/a/long/name/" * 3
    for table in (whole_table("field", "path"), pairs_table("title")):
        table.add_row(name, value)
        into = io.StringIO()
        Console(file=into, width=width).print(table)
        cells = [line.split("│")[1:-1] for line in into.getvalue().splitlines() if line[0] == "│"]
        columns = ["".join(cell.strip() for cell in column) for column in zip(*cells, strict=True)]
        assert columns == [name, value]


def test_every_table_of_the_command_line_is_one_of_these() -> None:
    folder = Path(tables.__file__).parents[1]
    modules = {path for path in folder.rglob("*.py") if re.search(r"\bTable\(", path.read_text())}
    assert modules == {Path(tables.__file__)}
