"""One table of prices, each with where it comes from; the same in both packages."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from cosmic.costs.bill import Usage, bill, bill_document, billed_apart
from cosmic.costs.prices import PriceName, gb_second, price, price_table
from fmilib.cost_model.prices import prices as fmi_prices


def test_every_price_says_what_it_is_of_and_where_it_comes_from() -> None:
    assert set(price_table()) == set(get_args(PriceName))
    for found in price_table().values():
        assert found.usd > 0
        assert found.region
        assert found.unit
        assert found.source.startswith("https://aws.amazon.com/")
        date.fromisoformat(found.date)


def test_what_fmilib_charges_for_a_message_is_what_the_bill_charges() -> None:
    """fmilib knows nothing of cosmic and keeps a table of its own: the common prices agree."""
    found = fmi_prices()
    assert found.lambda_gb_second == gb_second("x86_64").usd
    assert found.s3_put == price("s3_put").usd
    assert found.s3_get == price("s3_get").usd


def test_a_bill_names_the_price_of_each_line() -> None:
    document = bill_document(bill(Usage(((1000, 1024),), 9, 5, 7)), rows=1_000_000)
    used = {line["item"]: line["price"] for line in document["lines"]}
    assert used["Step Functions"]["usd"] == 0.000025
    assert used["Lambda duration"]["unit"] == gb_second("x86_64").unit
    assert document["prices"]["region"] == "us-east-1"
    assert document["usd"] == pytest.approx(
        1.66667e-5 + 2e-7 + 9 * 2.5e-5 + 5 * 5e-6 + 7 * 4e-7, abs=1e-15
    )


def test_ranks_on_arm_are_billed_at_its_price_and_aggregate_at_its_own() -> None:
    x86_64, arm64 = billed_apart([(1000, 1024), (2000, 1024)], (1000, 2048), "arm64")
    lines = {line.item: line for line in bill(Usage(x86_64, arm64_billed_ms=arm64))}
    assert lines["Lambda duration"].usd == pytest.approx(2 * gb_second("x86_64").usd)
    assert lines["Lambda duration on arm64"].usd == pytest.approx(3 * gb_second("arm64").usd)
    assert lines["Lambda requests"].usd == pytest.approx(3 * price("lambda_request").usd)
