"""What the rendezvous knows: jobs, their members, and what happened to them.

No sockets and no clock in here: time comes in as an argument, messages go out through each
member's `post`. A job forms when all its ranks are there at once; from then on the first
member that is lost fails it for all. State is soft: ranks bring it back after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

from fmilib import topology
from fmilib.rendezvous.members import Claim, Job, Member, Post, Refused, Withdrawal
from fmilib.wire.control_frames import Message
from fmilib.wire.failure import FENCED, FailureReport

MAX_SWEEP_GAP_S = 1.0


class Registry:
    """All jobs of one rendezvous.

    Args:
        new_epoch: returns a number that no earlier forming had.
        memory_s: how long a failed job is remembered, so that its late ranks are told.
        rejoin_s: how long ranks that form a failed job anew wait for the next one to come.
        withdrawn_s: how long a job is remembered one of whose ranks won't come.
        max_jobs: most jobs at once, the failed ones that are remembered included.
    """

    def __init__(
        self,
        new_epoch: Callable[[], int],
        *,
        memory_s: float = 60.0,
        rejoin_s: float = 15.0,
        withdrawn_s: float = 3600.0,
        max_jobs: int = 10_000,
    ) -> None:
        self._new_epoch = new_epoch
        self._memory_s = memory_s
        self._rejoin_s = rejoin_s
        self._withdrawn_s = withdrawn_s
        self._max_jobs = max_jobs
        self._swept_at: float | None = None
        self.jobs: dict[str, Job] = {}

    # -- coming ----------------------------------------------------------------

    def register(self, claim: Claim, post: Post, drop: Callable[[], None], now: float) -> Member:
        """Give a rank its place, tell it and its partners of each other, form if all are there.

        Raises:
            Refused: a newer attempt exists, the job failed, or the place is taken.
        """
        job = self._job_for(claim)
        self._check_place(job, claim)
        self._fence(job, claim, now)
        job = self._job_for(claim)
        member = Member(claim, post, drop, now)
        job.members[claim.rank] = member
        job.floor[claim.rank] = claim.generation
        job.instances.add(claim.instance)
        job.came_at = now
        post({"t": "welcome", "epoch": job.epoch, "seen": claim.seen and list(claim.seen)})
        self._introduce(job, member)
        if not job.epoch and len(job.members) == job.size:
            self._form(job)
        return member

    def _job_for(self, claim: Claim) -> Job:
        job = self.jobs.get(claim.job)
        if job is None or (job.failure and _is_newer(claim, job)):
            job = self._open(claim, job)
        if job.failure:
            raise Refused("failed", "the job failed", failure=job.failure)
        _check_size(job, claim)
        return job

    def _open(self, claim: Claim, before: Job | None) -> Job:
        if before is None:
            self._make_room()
        floor = dict(before.floor) if before else {}
        job = Job(claim.job, claim.size, floor=floor, epoch=claim.epoch)
        job.former = before.failure if before else None
        self.jobs[claim.job] = job
        return job

    def _make_room(self) -> None:
        """Forget a withdrawn job that nobody is in, if there are as many jobs as may be."""
        if len(self.jobs) < self._max_jobs:
            return
        kept = [job for job in self.jobs.values() if job.withdrawn and not job.members]
        if not kept:
            raise Refused("rendezvous", f"the rendezvous has its {self._max_jobs} jobs")
        del self.jobs[min(kept, key=lambda job: job.expires_at).name]

    def _check_place(self, job: Job, claim: Claim) -> None:
        _check_generation(job, claim)
        if claim.rank in job.left:
            raise Refused("later", f"rank {claim.rank} already left this job, which still runs")
        if claim.epoch and claim.epoch != job.epoch:
            raise Refused("stale_generation", "the job formed anew", newer=claim.generation + 1)
        here = job.members.get(claim.rank)
        if here and here.claim.instance != claim.instance:
            if claim.generation == here.claim.generation:
                raise Refused("rendezvous", f"rank {claim.rank} is already here")
        elif job.epoch and not claim.epoch:
            raise Refused("rendezvous", f"job {job.name!r} is running; rank {claim.rank} is late")

    def _fence(self, job: Job, claim: Claim, now: float) -> None:
        """End the older attempt of a rank; if the job had formed, that fails it."""
        older = job.members.pop(claim.rank, None)
        if older is None:
            return
        if older.claim.instance != claim.instance:
            older.post({"t": "stale", "newer": claim.generation})
            if job.epoch:
                cause = f"{FENCED}{claim.generation}"
                self._fail(job, FailureReport("lost", claim.rank, cause), now)
        older.drop()

    def _introduce(self, job: Job, member: Member) -> None:
        around = topology.partners(member.claim.rank, job.size)
        present = [job.members[rank] for rank in around if rank in job.members]
        member.post({"t": "peers", "peers": [other.peer_entry for other in present]})
        for other in present:
            other.post({"t": "peers", "peers": [member.peer_entry]})

    def _form(self, job: Job) -> None:
        job.epoch = self._new_epoch()
        for member in job.members.values():
            member.post({"t": "formed", "epoch": job.epoch})

    # -- staying ---------------------------------------------------------------

    def want(self, member: Member, peer: int) -> None:
        """Bring a rank together with another that isn't its partner, or is slow to dial."""
        job = self.of(member)
        if job is None or not 0 <= peer < job.size or peer == member.claim.rank:
            return
        other = job.members.get(peer)
        if other is None:
            if peer in job.left:
                member.post({"t": "gone", "rank": peer})
            return
        low, high = sorted((member, other), key=lambda one: one.claim.rank)
        low.post({"t": "dial", "peer": high.peer_entry})

    def tell_losses(self, member: Member) -> None:
        """Tell a rank of all that are lost or have left, and of each further one."""
        job = self.of(member)
        if job is None:
            return
        member.hears_losses = True
        for rank, cause in job.lost.items():
            member.post(FailureReport("lost", rank, cause).message())
        for rank in job.left:
            member.post({"t": "gone", "rank": rank})

    def who(self, member: Member) -> None:
        """Tell a rank who is missing."""
        job = self.of(member)
        member.post({"t": "missing", "ranks": job.missing() if job else []})

    # -- going -----------------------------------------------------------------

    def leave(self, member: Member) -> None:
        """A rank is done; it is no loss."""
        job = self.of(member)
        if job is None:
            return
        del job.members[member.claim.rank]
        if job.epoch:
            job.left.add(member.claim.rank)
            self._tell(job, {"t": "gone", "rank": member.claim.rank})
        self._forget_if_empty(job)

    def lost(self, member: Member, cause: str, now: float) -> None:
        """A rank's connection or lease ended; if the job had formed, that fails it."""
        job = self.of(member)
        if job is None:
            return
        del job.members[member.claim.rank]
        failure = FailureReport("lost", member.claim.rank, cause)
        if job.epoch:
            job.lost[member.claim.rank] = cause
        if job.epoch and not job.failure:
            self._fail(job, failure, now)
        elif job.epoch:
            self._tell(job, failure.message())
        self._forget_if_empty(job)

    def fail(self, member: Member, failure: FailureReport, now: float) -> None:
        """A rank reports a failure; the first report is everybody's."""
        job = self.of(member)
        if job is not None and job.failure is None and 0 <= failure.rank < job.size:
            self._fail(job, failure, now)

    def withdraw(self, said: Withdrawal, now: float) -> None:
        """A rank says that no attempt of it will come: that fails its job for those who are there,
        and for all who come later.

        A rank that has left in good order did its part; its job isn't touched.

        Raises:
            Refused: a newer attempt exists, the others say another size, or there is no room.
        """
        if said.job not in self.jobs:
            self._make_room()
            self.jobs[said.job] = Job(said.job, said.size)
        job = self.jobs[said.job]
        _check_size(job, said)
        _check_generation(job, said)
        if said.rank in job.left:
            return
        if job.failure is None:
            self._fail(job, FailureReport("aborted", said.rank, said.reason), now)
        job.withdrawn = True
        job.expires_at = now + self._withdrawn_s

    def hear(self, member: Member, doing: object, now: float) -> None:
        """A rank says in which call it is; if another is in another, the job has failed."""
        job = self.of(member)
        if job is not None and job.epoch and (failure := job.doing.says(member.claim.rank, doing)):
            self.end(job, failure, now)

    def end(self, job: Job, failure: FailureReport, now: float) -> None:
        """The server itself ends a job, once."""
        if job.failure is None and self.jobs.get(job.name) is job:
            self._fail(job, failure, now)

    def sweep(self, now: float) -> None:
        """End leases that ran out and forget failed jobs that are old.

        If the server itself stood still since the last sweep, no rank pays for it: what they
        sent meanwhile hasn't been read yet.
        """
        gap = now - self._swept_at if self._swept_at is not None else 0.0
        self._swept_at = now
        if gap > MAX_SWEEP_GAP_S:
            self._forgive(gap)
        for job in list(self.jobs.values()):
            for member in list(job.members.values()):
                if now - member.seen_at > member.claim.lease_s:
                    self.lost(member, f"no sign of life for {member.claim.lease_s:.1f} s", now)
                    member.drop()
            patient = any(member.claim.rejoin for member in job.members.values())
            former = None if patient or job.epoch or job.failure else job.former
            if former and now - job.came_at > self._rejoin_s:
                self._give_up(job, former, now)
            if job.failure and now >= job.expires_at and self.jobs.get(job.name) is job:
                del self.jobs[job.name]

    def _give_up(self, job: Job, former: FailureReport, now: float) -> None:
        """Tell ranks that came back to a failed job that the others don't."""
        cause = f"the job failed before ({former.error()}), and its other ranks don't come back"
        refusal = Refused("rendezvous", f"{cause}: nobody came for {self._rejoin_s:.0f} s")
        job.failure, job.expires_at = former, now + self._memory_s
        for member in job.members.values():
            member.post(refusal.message)
            member.drop()
        job.members.clear()

    def _forgive(self, gap: float) -> None:
        for job in self.jobs.values():
            for member in job.members.values():
                member.seen_at += gap

    def _fail(self, job: Job, failure: FailureReport, now: float) -> None:
        job.failure = failure
        job.expires_at = now + self._memory_s
        for member in job.members.values():
            member.post(failure.message())

    def _tell(self, job: Job, message: Message) -> None:
        for member in job.members.values():
            if member.hears_losses:
                member.post(message)

    def _forget_if_empty(self, job: Job) -> None:
        if not job.members and not job.failure and self.jobs.get(job.name) is job:
            del self.jobs[job.name]

    def of(self, member: Member) -> Job | None:
        """Return the job in which this very member has its place, if it still has it."""
        job = self.jobs.get(member.claim.job)
        here = job.members.get(member.claim.rank) if job else None
        return job if here is member else None


def _check_size(job: Job, said: Claim | Withdrawal) -> None:
    if job.size != said.size:
        raise Refused(
            "mismatch",
            f"rank {said.rank} says the job has {said.size} ranks, others say {job.size}",
        )


def _check_generation(job: Job, said: Claim | Withdrawal) -> None:
    newest = job.floor.get(said.rank, -1)
    if said.generation < newest:
        raise Refused("stale_generation", "a newer attempt exists", newer=newest)


def _is_newer(claim: Claim, job: Job) -> bool:
    """Return whether a rank may form a failed job anew.

    With `rejoin` a survivor comes back with the generation that it had, as a new instance. A job
    that a rank has withdrawn from lacks that rank whoever comes.
    """
    if job.withdrawn:
        return False
    newest = job.floor.get(claim.rank, 0)
    if claim.rejoin and not claim.epoch and claim.instance not in job.instances:
        return claim.generation >= newest
    return claim.generation > newest
