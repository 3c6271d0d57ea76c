"""Time and money in closed form, and what each hint takes."""

from __future__ import annotations

import math

import pytest

from fmilib.cost_model.estimate import Estimate, Explanation, choose, explain
from fmilib.cost_model.hints import named, slo
from fmilib.cost_model.operation_costs import Shape, shape
from fmilib.cost_model.prices import Prices, prices
from fmilib.cost_model.probe import measure
from fmilib.cost_model.rates import WINDOW, Meter, Rates
from fmilib.links.transfer import SEGMENT_BYTES

PRICES = Prices(
    "2026-01-01",
    lambda_gb_second=1e-5,
    s3_put=5e-6,
    s3_get=4e-7,
    redis_node_hour=3.6,
    rendezvous_hour=0.36,
)
KIB, MIB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("op", "nbytes", "size", "expected"),
    [
        ("barrier", 0, 8, (2, 0, 14)),
        ("barrier", 0, 17, (5, 0, 85)),
        ("bcast", MIB, 8, (3, 3 * MIB, 7)),
        ("Bcast", MIB, 9, (4, 4 * MIB, 8)),
        ("Bcast", 16 * MIB, 8, (7, 16 * MIB + 6 * SEGMENT_BYTES, 7)),
        ("bcast", 16 * MIB, 8, (3, 48 * MIB, 7)),
        ("gather", KIB, 52, (6, 51 * KIB, 51)),
        ("allreduce", KIB, 8, (2, 14 * KIB, 14)),
        ("allreduce", 2 * KIB, 8, (3, 6 * KIB, 24)),
        ("allreduce", 2 * KIB, 6, (4, 8 * KIB, 12)),
        ("allreduce", MIB, 8, (6, 2 * MIB * 7 // 8, 48)),
        ("allreduce", MIB, 6, (10, 10 * MIB // 6, 60)),
        ("allreduce", MIB, 33, (12, 2 * MIB * 31 // 32 + 2 * MIB, 322)),
        ("alltoall", 800, 8, (3, 1200, 24)),
        ("reduce_scatter", KIB, 8, (2, 14 * KIB, 14)),
        ("reduce_scatter", MIB, 8, (7, MIB * 7 // 8, 56)),
        ("scan", 8, 8, (3, 24, 17)),
        ("send", 100, 8, (1, 100, 1)),
        ("barrier", 0, 1, (0, 0, 0)),
    ],
)
def test_an_operation_has_the_shape_of_its_algorithm(
    op: str, nbytes: int, size: int, expected: tuple[int, int, int]
) -> None:
    assert shape(op, nbytes, size) == expected


def test_no_operation_of_that_name() -> None:
    with pytest.raises(ValueError, match="allreduce"):
        shape("frobnicate", 0, 2)


def _explain(hint: str, op: str = "bcast", nbytes: int = 10**6) -> Explanation:
    rates = {
        "direct": Rates(0.001, 1e8, measured=True),
        "redis": Rates(0.002, 5e7),
        "s3": Rates(0.1, 1e8),
    }
    return explain(op, nbytes, 8, rates, memory_gb=2.0, hint=named(hint), prices=PRICES)


def test_seconds_and_dollars_are_the_sums_that_they_say() -> None:
    found = _explain("fast")
    direct, redis, s3 = found["direct"], found["redis"], found["s3"]
    assert direct.seconds == pytest.approx(3 * 0.001 + 3e6 / 1e8)
    assert redis.seconds == pytest.approx(3 * 0.002 + 3e6 / 5e7)
    assert s3.seconds == pytest.approx(3 * 0.1 + 3e6 / 1e8)
    assert direct.functions == pytest.approx(8 * 2.0 * direct.seconds * 1e-5)
    assert direct.service == pytest.approx(direct.seconds * 1e-4)
    assert redis.service == pytest.approx(redis.seconds * 1e-3)
    assert s3.service == pytest.approx(7 * (5e-6 + 2 * 4e-7))
    assert s3.dollars == s3.functions + s3.service


def test_large_messages_are_several_objects() -> None:
    one = _explain("fast", "send", 16 * MIB)["s3"]
    many = _explain("fast", "send", 16 * MIB + 1)["s3"]
    assert many.service == pytest.approx(2 * one.service)


def test_each_hint_takes_its_own() -> None:
    assert _explain("fast").chosen == "direct"
    assert _explain("cheap").chosen == min(
        _explain("cheap").estimates, key=lambda one: one.dollars
    ).channel  # fmt: skip
    assert _explain("slo(0.05)").chosen == "direct"


def test_a_bound_takes_the_cheapest_that_keeps_it_else_the_fastest() -> None:
    slow = _estimate("slow", seconds=2.0, dollars=1.0)
    quick = _estimate("quick", seconds=0.5, dollars=9.0)
    assert choose([slow, quick], slo(3)) is slow
    assert choose([slow, quick], slo(1)) is quick
    assert choose([slow, quick], slo(0.1)) is quick
    assert choose([slow, quick], named("cheap")) is slow
    assert choose([slow, quick], named("fast")) is quick


def _estimate(name: str, seconds: float, dollars: float) -> Estimate:
    return Estimate(name, 1, 0, 1, Rates(0, 1), seconds, dollars, 0.0)


def test_an_explanation_reads_as_sums() -> None:
    text = str(_explain("fast"))
    assert text.startswith("bcast of 1000000 bytes, 8 ranks of 2 GB, hint fast, prices of 2026-")
    assert "* direct: 3 rounds x 1 ms + 3000000 bytes / 100 MB/s (measured) = 0.033 s" in text
    assert "  redis: 3 rounds x 2 ms + 3000000 bytes / 50 MB/s (assumed) = 0.066 s" in text


@pytest.mark.parametrize("hint", ["quick", "slo(x)", "slo(0)", "slo(-1)", ""])
def test_a_hint_that_means_nothing_is_refused(hint: str) -> None:
    with pytest.raises(ValueError, match=r"hint|float|bound"):
        named(hint)


def test_the_price_table_says_its_date_and_has_sane_prices() -> None:
    found = prices()
    assert found.as_of >= "2026"
    assert 1e-6 < found.lambda_gb_second < 1e-4
    assert found.s3_get < found.s3_put < 1e-4
    assert 0 < found.rendezvous_hour < found.redis_node_hour < 10


def test_calls_correct_the_rates() -> None:
    meter = Meter(Rates(1.0, 1e6))
    small, large = Shape(4, 0, 8), Shape(2, 10**6, 2)
    for _ in range(WINDOW):
        meter.observe(small.rounds, small.bytes, 0.008)
    assert meter.rates.alpha_s == pytest.approx(0.002)
    assert meter.rates.measured
    for _ in range(WINDOW):
        meter.observe(large.rounds, large.bytes, 0.004 + 0.05)
    assert meter.rates.beta == pytest.approx(2e7)
    meter.observe(small.rounds, small.bytes, 100.0)  # a late rank says nothing of the channel
    assert meter.rates.alpha_s == pytest.approx(0.002)


def test_rates_must_be_possible() -> None:
    with pytest.raises(ValueError, match="β"):
        Rates(0.1, 0.0)
    assert math.isinf(named("fast").bound_s)


def test_a_rank_that_does_not_measure_gets_nothing() -> None:
    class Third:
        rank, size = 2, 3

        def Send(self, *_: object) -> None:
            raise AssertionError

        Recv = Send

    assert measure(Third()) is None
