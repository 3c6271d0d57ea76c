"""Bringing two ranks of a job together: an address, a moment to call each other, a relay."""

from __future__ import annotations

from fmilib.rendezvous.members import Job, Member, Refused
from fmilib.rendezvous.registry import Registry
from fmilib.wire.control_frames import Message

MAX_ROUND_S = 5.0
MAX_WAIT_S = 0.5


def punch(registry: Registry, member: Member, peer: int, for_s: float) -> None:
    """Have two ranks call each other's public ports at the same moment.

    The one that hears of it later, by half the difference of their round trips, is waited for.
    Where one's port can't be known to the other, the asker is told so.
    """
    job = registry.of(member)
    other = job.members.get(peer) if job else None
    if other is None or not _can_meet(member, other):
        member.post({"t": "punch", "rank": peer, "peer": None, "for_s": 0.0, "wait_s": 0.0})
        return
    trips = member.rtt_s(), other.rtt_s()
    for one, its_peer, trip_s in ((member, other, trips[0]), (other, member, trips[1])):
        one.post(_invitation(its_peer, for_s, (max(trips) - trip_s) / 2))


def _can_meet(one: Member, other: Member) -> bool:
    """Return whether each can know where to call; a public address may be called from anywhere."""
    if one.claim.seen is None or other.claim.seen is None:
        return False
    return not (one.shifting and other.hidden) and not (other.shifting and one.hidden)


def observe(registry: Registry, name: str, rank: int, instance: str, seen: tuple[str, int]) -> None:
    """Note whether a rank is seen at another port than when it registered.

    Raises:
        Refused: it isn't a member.
    """
    _, member = _member(registry, name, rank, instance)
    member.shifting = member.claim.seen is not None and member.claim.seen != seen


def _member(registry: Registry, name: str, rank: int, instance: str) -> tuple[Job, Member]:
    job = registry.jobs.get(name)
    here = job.members.get(rank) if job else None
    if job is None or here is None or here.claim.instance != instance:
        raise Refused("rendezvous", f"rank {rank} isn't in this job")
    return job, here


def _invitation(peer: Member, for_s: float, wait_s: float) -> Message:
    seen = list(peer.claim.seen or ())
    return {
        "t": "punch", "rank": peer.claim.rank, "peer": seen,
        "for_s": min(max(for_s, 0.0), MAX_ROUND_S), "wait_s": min(wait_s, MAX_WAIT_S),
    }  # fmt: skip


def relayed(
    registry: Registry, name: str, rank: int, instance: str, epoch: int, peer: int
) -> tuple[Job, Member]:
    """Return the job and the peer of a rank that asks for a relay.

    Raises:
        Refused: the asker isn't a member of the running job, or the peer isn't there.
    """
    job, _ = _member(registry, name, rank, instance)
    if not job.epoch or job.epoch != epoch or job.failure:
        raise Refused("rendezvous", "the job isn't running")
    other = job.members.get(peer)
    if other is None or peer == rank:
        raise Refused("rendezvous", f"rank {peer} isn't there")
    return job, other
