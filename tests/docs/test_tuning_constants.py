"""The constants that docs/tuning.md states are those that predictions and simulations use."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.costs.counts import WRITES_PER_RANK
from cosmic.costs.platform import LAMBDA
from cosmic.costs.simulated_platform import Ceilings
from cosmic.ranks.run_rank import RESERVE_S

TEXT = (Path(__file__).parents[2] / "docs/tuning.md").read_text()
ROWS = {
    cells[1].strip(): cells[2].strip()
    for line in TEXT.splitlines()
    if line.startswith("| ") and len(cells := line.split("|")) == 5
}


@pytest.mark.parametrize(
    ("constant", "stated"),
    [
        ("vCPUs of a function", f"MB / {MB_PER_VCPU:,}"),
        ("environments", f"{LAMBDA.environments_at_once:,} at once"),
        ("environments", f"every {LAMBDA.environments_pause_s:g} s"),
        ("most memory, longest run", f"{LAMBDA.largest_mb:,} MB"),
        ("most memory, longest run", f"{LAMBDA.longest_s + RESERVE_S:g} s less a reserve of"),
        ("most memory, longest run", f"a reserve of {RESERVE_S:g} s"),
        ("S3", f"{LAMBDA.s3_bytes_per_s / 1e6:g} MB/s a function"),
        ("S3", f"{LAMBDA.s3_latency_s * 1000:g} ms to the first byte"),
        ("S3's request rate", f"{LAMBDA.s3_gets_per_s:,.0f} reads a second"),
        ("S3's request rate", f"{LAMBDA.s3_puts_per_s:,.0f} writes a second"),
        ("the Map starts ranks", f"{LAMBDA.starts_per_s:g} a second"),
        ("launch of the execution", f"{LAMBDA.launch_s:g} s"),
    ],
)
def test_the_table_of_what_is_modelled_says_what_is_used(constant: str, stated: str) -> None:
    assert stated in ROWS[constant]


def test_how_many_ranks_may_end_at_once_is_said() -> None:
    ranks = int(LAMBDA.s3_puts_per_s) // WRITES_PER_RANK
    assert f"A rank makes {WRITES_PER_RANK} writes, so up to {ranks:,} ranks" in TEXT


def test_simulations_meet_the_rates_of_the_platform() -> None:
    rates = Ceilings().gets_per_s, Ceilings().puts_per_s
    assert rates == (LAMBDA.s3_gets_per_s, LAMBDA.s3_puts_per_s)
