"""The rendezvous's book-keeping, without sockets or clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from fmilib.rendezvous import pairing
from fmilib.rendezvous.members import Claim, Member, Refused, Withdrawal
from fmilib.rendezvous.registry import Registry
from fmilib.wire.failure import FailureReport


@dataclass
class Rank:
    """A registered rank and all that it was told."""

    told: list[dict[str, Any]] = field(default_factory=list)
    dropped: bool = False
    member: Member | None = None

    def kinds(self) -> list[str]:
        return [message["t"] for message in self.told]

    def drop(self) -> None:
        self.dropped = True


@pytest.fixture
def registry() -> Registry:
    numbers = itertools.count(100)
    return Registry(lambda: next(numbers), memory_s=60.0, max_jobs=3)


def come(registry: Registry, rank: int, size: int = 2, now: float = 0.0, **how: Any) -> Rank:
    claim = {
        "job": "job", "generation": 0, "instance": f"process of {rank}",
        "address": ("10.0.0.1", 1000 + rank), "lease_s": 5.0, "epoch": 0, **how,
    }  # fmt: skip
    one = Rank()
    one.member = registry.register(
        Claim(rank=rank, size=size, **claim), one.told.append, one.drop, now
    )
    return one


def member(rank: Rank) -> Member:
    assert rank.member is not None
    return rank.member


def test_all_ranks_there_form_the_job_and_know_their_partners(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    assert zero.kinds() == ["welcome", "peers", "peers", "formed"]
    assert one.told[1] == {"t": "peers", "peers": [[0, "10.0.0.1", 1000]]}
    assert zero.told[2] == {"t": "peers", "peers": [[1, "10.0.0.1", 1001]]}
    assert zero.told[3] == one.told[2] == {"t": "formed", "epoch": 100}


def test_a_rank_is_told_of_partners_only(registry: Registry) -> None:
    ranks = [come(registry, rank, 16) for rank in range(16)]
    told = [m["peers"] for m in ranks[0].told if m["t"] == "peers"]
    known = sorted(entry[0] for peers in told for entry in peers)
    assert known == [1, 2, 4, 8, 12, 14, 15]


def test_a_loss_before_the_forming_frees_the_place(registry: Registry) -> None:
    zero = come(registry, 0)
    registry.lost(member(zero), "gone", 1.0)
    assert not registry.jobs
    assert come(registry, 0).kinds()[0] == "welcome"


def test_a_loss_after_the_forming_is_everybodys(registry: Registry) -> None:
    ranks = [come(registry, rank, 3) for rank in range(3)]
    registry.lost(member(ranks[1]), "gone", 1.0)
    registry.lost(member(ranks[2]), "gone too", 1.0)
    verdict = {"t": "verdict", "kind": "lost", "rank": 1, "words": "gone"}
    assert ranks[0].told[-1] == verdict
    assert ranks[0].kinds().count("verdict") == 1


def test_leaving_is_no_loss_and_an_empty_job_is_forgotten(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    registry.leave(member(zero))
    assert "verdict" not in one.kinds()
    registry.want(member(one), 0)
    assert one.told[-1] == {"t": "gone", "rank": 0}
    with pytest.raises(Refused):
        come(registry, 0, generation=1)
    registry.leave(member(one))
    assert not registry.jobs


def test_a_lease_that_runs_out_is_a_loss(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    for tenth in range(1, 60):
        member(zero).seen_at = tenth / 10
        registry.sweep(tenth / 10)
    assert one.dropped
    assert zero.told[-1]["rank"] == 1
    assert "no sign of life" in zero.told[-1]["words"]


def test_a_server_that_stood_still_ends_no_lease(registry: Registry) -> None:
    zero = come(registry, 0)
    registry.sweep(0.1)
    registry.sweep(50.0)
    assert not zero.dropped


def test_a_failed_job_is_remembered_for_a_while(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    registry.fail(member(zero), FailureReport("aborted", 0, "enough"), 10.0)
    assert one.told[-1]["words"] == "enough"
    for rank in (zero, one):
        registry.leave(member(rank))
    with pytest.raises(Refused) as refused:
        come(registry, 1, now=20.0)
    assert refused.value.message["words"] == "enough"
    registry.sweep(69.0)
    assert registry.jobs
    registry.sweep(70.0)
    assert not registry.jobs


def test_a_newer_generation_starts_a_failed_job_again(registry: Registry) -> None:
    zero = come(registry, 0, generation=2)
    come(registry, 1)
    registry.fail(member(zero), FailureReport("aborted", 0, "enough"), 0.0)
    for rank, generation in ((0, 2), (1, 0)):
        with pytest.raises(Refused):
            come(registry, rank, generation=generation)
    anew = come(registry, 1, generation=1)
    with pytest.raises(Refused) as stale:
        come(registry, 0, generation=1)
    assert stale.value.message["newer"] == 2
    come(registry, 0, generation=3)
    assert anew.told[-1] == {"t": "formed", "epoch": 101}


def test_the_newer_of_two_attempts_gets_the_place(registry: Registry) -> None:
    older = come(registry, 0)
    newer = come(registry, 0, generation=1, instance="another process")
    assert older.told[-1] == {"t": "stale", "newer": 1}
    assert older.dropped
    registry.lost(member(older), "its connection closed", 0.0)
    come(registry, 1)
    assert newer.kinds()[-1] == "formed"


def test_a_process_may_come_back_over_a_new_connection(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    again = come(registry, 0, epoch=100)
    assert zero.dropped
    registry.lost(member(zero), "its old connection closed", 0.0)
    assert "verdict" not in one.kinds()
    assert again.told[0] == {"t": "welcome", "epoch": 100, "seen": None}


def test_a_restarted_rendezvous_takes_running_ranks_back(registry: Registry) -> None:
    zero, one = come(registry, 0, epoch=42), come(registry, 1, epoch=42)
    assert "formed" not in zero.kinds()
    registry.lost(member(one), "gone", 0.0)
    assert zero.told[-1]["rank"] == 1
    with pytest.raises(Refused):
        come(registry, 1, epoch=41)


def test_the_lower_rank_is_asked_to_dial(registry: Registry) -> None:
    ranks = [come(registry, rank, 4) for rank in range(4)]
    for asking, peer in ((3, 1), (1, 3)):
        ranks[1].told.clear()
        registry.want(member(ranks[asking]), peer)
        assert ranks[1].told == [{"t": "dial", "peer": [3, "10.0.0.1", 1003]}]
    registry.want(member(ranks[1]), 9)


def test_who_is_missing_is_told(registry: Registry) -> None:
    zero = come(registry, 0, 4)
    come(registry, 2, 4)
    registry.who(member(zero))
    assert zero.told[-1] == {"t": "missing", "ranks": [1, 3]}


def test_sizes_must_agree_and_jobs_are_counted(registry: Registry) -> None:
    come(registry, 0)
    with pytest.raises(Refused) as refused:
        come(registry, 1, 3)
    assert refused.value.message["code"] == "mismatch"
    come(registry, 0, job="two")
    come(registry, 0, job="three")
    with pytest.raises(Refused):
        come(registry, 0, job="four")


def test_a_hidden_rank_is_told_with_its_public_address(registry: Registry) -> None:
    come(registry, 0, seen=("198.51.100.7", 9000))
    one = come(registry, 1, seen=("10.0.0.1", 1001))
    assert one.told[1]["peers"] == [[0, "10.0.0.1", 1000, "198.51.100.7", 9000]]
    assert member(one).peer_entry == [1, "10.0.0.1", 1001]


def test_both_are_called_at_one_moment(registry: Registry) -> None:
    zero = come(registry, 0, seen=("198.51.100.7", 9000))
    one = come(registry, 1, seen=("198.51.100.8", 9001))
    member(zero).rtt_s = lambda: 0.1
    pairing.punch(registry, member(zero), 1, 0.5)
    assert zero.told[-1]["peer"] == ["198.51.100.8", 9001]
    assert one.told[-1]["peer"] == ["198.51.100.7", 9000]
    assert (zero.told[-1]["wait_s"], one.told[-1]["wait_s"]) == (0.0, 0.05)
    assert {zero.told[-1]["for_s"], one.told[-1]["for_s"]} == {0.5}


def test_a_rank_whose_public_port_is_unknown_is_not_called(registry: Registry) -> None:
    zero, one = come(registry, 0, seen=("198.51.100.7", 9000)), come(registry, 1)
    pairing.punch(registry, member(zero), 1, 0.5)
    assert zero.told[-1]["peer"] is None
    assert one.kinds()[-1] == "formed"


def test_only_members_of_a_running_job_are_relayed(registry: Registry) -> None:
    come(registry, 0)
    with pytest.raises(Refused, match="isn't running"):
        pairing.relayed(registry, "job", 0, "process of 0", 0, 1)
    one = come(registry, 1)
    job, other = pairing.relayed(registry, "job", 0, "process of 0", 100, 1)
    assert (job.name, other) == ("job", member(one))
    for rank, instance, epoch, peer in (
        (0, "another", 100, 1), (0, "process of 0", 99, 1), (0, "process of 0", 100, 0),
        (2, "process of 2", 100, 1),
    ):  # fmt: skip
        with pytest.raises(Refused):
            pairing.relayed(registry, "job", rank, instance, epoch, peer)


def test_who_returns_to_a_failed_job_alone_is_told_so(registry: Registry) -> None:
    come(registry, 0)
    one = come(registry, 1)
    registry.lost(member(one), "it died", 1.0)
    again = come(registry, 1, generation=1, now=2.0, lease_s=100.0)
    registry.sweep(16.9)
    assert "refused" not in again.kinds()
    registry.sweep(17.1)
    assert again.told[-1]["code"] == "rendezvous"
    assert "it died" in again.told[-1]["text"]
    assert again.dropped
    with pytest.raises(Refused) as late:
        come(registry, 0, now=18.0)
    assert late.value.message["code"] == "failed"


def test_a_rank_that_left_may_come_to_the_next_job_of_the_name(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    registry.leave(member(zero))
    with pytest.raises(Refused) as refusal:
        come(registry, 0, instance="the next one")
    assert refusal.value.message["code"] == "later"
    registry.leave(member(one))
    come(registry, 0, instance="the next one")


def test_ranks_whose_ports_shift_are_called_together_only_with_open_ones(
    registry: Registry,
) -> None:
    hidden = {rank: ("198.51.100.2", 4000 + rank) for rank in (0, 1)}
    zero = come(registry, 0, size=3, seen=hidden[0])
    one = come(registry, 1, size=3, seen=hidden[1])
    two = come(registry, 2, size=3, seen=("10.0.0.1", 1002))
    pairing.observe(registry, "job", 0, "process of 0", hidden[0])
    pairing.punch(registry, member(zero), 1, 1.0)
    assert zero.told[-1]["peer"] == list(hidden[1])
    pairing.observe(registry, "job", 1, "process of 1", ("198.51.100.2", 4077))
    pairing.punch(registry, member(zero), 1, 1.0)
    assert zero.told[-1]["peer"] is None
    pairing.punch(registry, member(one), 2, 1.0)
    assert two.told[-1]["peer"] == list(hidden[1])
    with pytest.raises(Refused):
        pairing.observe(registry, "job", 1, "another process", hidden[1])


def withdraw(registry: Registry, rank: int, now: float = 0.0, **how: Any) -> None:
    said = {"job": "job", "size": 2, "generation": 0, "reason": "no model", **how}
    registry.withdraw(Withdrawal(rank=rank, **said), now)


def test_a_rank_that_withdraws_fails_the_job_for_whom_it_meets(registry: Registry) -> None:
    zero = come(registry, 0)
    withdraw(registry, 1)
    assert zero.told[-1] == FailureReport("aborted", 1, "no model").message()


@pytest.mark.parametrize("how", [{}, {"generation": 3}, {"generation": 1, "rejoin": True}])
def test_no_attempt_forms_a_withdrawn_job_anew(registry: Registry, how: dict[str, Any]) -> None:
    withdraw(registry, 1)
    with pytest.raises(Refused) as refused:
        come(registry, 0, now=3000.0, **how)
    assert refused.value.message["code"] == "failed"
    assert refused.value.message["words"] == "no model"


def test_a_withdrawn_job_is_forgotten_after_an_hour(registry: Registry) -> None:
    withdraw(registry, 1)
    registry.sweep(3599.0)
    assert "job" in registry.jobs
    registry.sweep(3600.0)
    assert not registry.jobs


def test_a_rank_that_left_in_good_order_cannot_withdraw(registry: Registry) -> None:
    zero, one = come(registry, 0), come(registry, 1)
    registry.leave(member(one))
    withdraw(registry, 1, generation=1)
    assert "verdict" not in zero.kinds()


@pytest.mark.parametrize(
    ("how", "code"), [({"generation": 1}, "stale_generation"), ({"size": 3}, "mismatch")]
)
def test_a_withdrawal_that_contradicts_the_job_is_refused(
    registry: Registry, how: dict[str, Any], code: str
) -> None:
    zero, _ = come(registry, 0), come(registry, 1, generation=2)
    with pytest.raises(Refused) as refused:
        withdraw(registry, 1, **how)
    assert refused.value.message["code"] == code
    assert "verdict" not in zero.kinds()


def test_withdrawn_jobs_take_no_room_from_others(registry: Registry) -> None:
    """There is room for three; the oldest notice goes first, and a job with members never."""
    come(registry, 0, job="lives")
    for place in range(5):
        withdraw(registry, 1, now=float(place), job=f"withdrawn {place}")
    assert list(registry.jobs) == ["lives", "withdrawn 3", "withdrawn 4"]
    come(registry, 0, now=9.0, job="second")
    come(registry, 0, now=9.0, job="third")
    with pytest.raises(Refused, match="has its 3 jobs"):
        withdraw(registry, 1, now=9.0, job="fourth")


def test_a_job_that_was_given_up_is_forgotten(registry: Registry) -> None:
    come(registry, 0), come(registry, 1)
    back = come(registry, 0, now=1.0, instance="another", generation=1, lease_s=300.0)
    for now in range(2, 100):
        registry.sweep(float(now))
    assert "don't come back" in back.told[-1]["text"]
    assert not registry.jobs
