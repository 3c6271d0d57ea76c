"""A channel is measured, chosen by a hint, and explained; all ranks stay on the same one."""

from __future__ import annotations

from typing import Any

import pytest

import fmilib
from fmilib_support.server import Rendezvous
from fmilib_support.threads import values


@pytest.fixture
def everything(
    rendezvous: Rendezvous,
    redis_url: str,
    bucket: str,
    aws_env: None,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Say how to reach all channels but local; return what else connect needs."""
    monkeypatch.setenv("FMI_REDIS_URL", redis_url)
    monkeypatch.setenv("FMI_S3_BUCKET", bucket)
    return {"rendezvous": rendezvous.address, "channel": "auto"}


def test_all_ranks_stay_on_the_channel_that_rank_0_found_fastest(
    everything: dict[str, Any], job: str
) -> None:
    def body(comm: fmilib.Communicator) -> Any:
        total = comm.allreduce(comm.rank)
        return total, comm.explain("allreduce", 64 * 1024)

    found = values({**everything, "hint": "fast"}, job, 3, body)
    assert [total for total, _ in found] == [3, 3, 3]
    chosen = {text.chosen for _, text in found}
    assert len(chosen) == 1
    assert chosen <= {"direct", "redis"}
    for _, text in found:
        assert all(text[name].rates.measured for name in ("direct", "redis", "s3"))
        assert text["s3"].seconds > text["direct"].seconds


def test_a_bound_is_kept_by_the_cheapest(everything: dict[str, Any], job: str) -> None:
    def body(comm: fmilib.Communicator) -> Any:
        comm.barrier()
        return comm.explain("allreduce", 1024)

    options = {**everything, "hint": fmilib.slo(60.0), "memory_mb": 512}
    for text in values(options, job, 2, body):
        cheapest = min(text.estimates, key=lambda one: one.dollars)
        assert text.chosen == cheapest.channel
        assert (text.memory_gb, text.hint) == (0.5, "slo(60)")


def test_calls_correct_what_is_believed_of_the_channel(job: str, rendezvous: Rendezvous) -> None:
    def body(comm: fmilib.Communicator) -> Any:
        before = comm.explain("barrier")["direct"].rates
        for _ in range(64):
            comm.barrier()
        return before, comm.explain("barrier")["direct"].rates

    for before, after in values({"rendezvous": rendezvous.address}, job, 2, body):
        assert not before.measured
        assert after.measured
        assert after.alpha_s != before.alpha_s


def test_nothing_to_choose_from_is_said(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FMI_RENDEZVOUS", "FMI_REDIS_URL", "FMI_S3_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="redis_url"):
        fmilib.connect(0, 2, job, secret=bytes(32), channel="auto")
    with pytest.raises(ValueError, match="hint"):
        fmilib.connect(0, 1, job, hint="quickly")
