"""How the ranks of a job find each other in a store, without a rendezvous.

Rank 0 claims the record `lead` with a nonce of its own. Every other rank that sees the claim
drops a hello, with its own nonce, into the inbox of that claim. When all are there, rank 0
turns the claim into the list of members and a random epoch. A rank is in only if its own nonce
is in the list; what a crashed run has left behind holds none that is alive.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from fmilib.channels.store import withdrawal
from fmilib.channels.store.base import LEAD, MEMORY_S, Store
from fmilib.channels.store.crypto import Record, seal, unseal
from fmilib.config import Settings
from fmilib.errors import FmiError, MismatchError, RendezvousError, StaleGeneration, Timeout
from fmilib.wire import failure
from fmilib.wire.failure import FailureReport
from fmilib.wire.payload_auth import AuthMode, offered

PAUSE_S = (0.01, 0.25)
COLLECT_S = 0.5


@dataclass(frozen=True, slots=True)
class Membership:
    """One rank's place in a formed job.

    Attributes:
        epoch: 32 hexadecimal digits that no other forming has.
        witnesses: by which the store may see that each rank lives.
        cover: how payloads are covered, the best that all ranks can.
    """

    epoch: str
    witnesses: list[str]
    cover: AuthMode

    @classmethod
    def read(cls, record: Record) -> Membership:
        """Return what a members' list says."""
        witnesses = [str(member[2]) for member in record["members"]]
        return cls(record["epoch"], witnesses, AuthMode(record["cover"]))


class Bootstrap:
    """Forms a job as one of its ranks sees it.

    Args:
        settings: this rank's.
        store: where the ranks meet.
        form_by: `time.monotonic()` seconds at which to give up.
    """

    def __init__(self, settings: Settings, store: Store, form_by: float) -> None:
        self._settings = settings
        self._store = store
        self._form_by = form_by
        self._instance = secrets.token_hex(16)
        self._fenced: set[str] = set()
        self._found: dict[int, Record] = {}

    def form(self) -> Membership:
        """Return this rank's place once all ranks are there.

        Raises:
            Timeout, StaleGeneration, MismatchError, RendezvousError, PeerFailed, Aborted.
        """
        if self._settings.rank:
            return self._follow()
        claim = self._claim()
        try:
            self._gather(claim)
        except FmiError as error:
            self._publish_failure(claim, error)
            raise
        return self._commit(claim)

    # -- rank 0 ----------------------------------------------------------------

    def _claim(self) -> bytes:
        claim = self._seal(LEAD, {"instance": self._instance, "members": []})
        while True:
            seen = self._store.read(LEAD)
            self._respect(self._unseal(LEAD, seen))
            if self._store.swap(LEAD, seen, claim):
                return claim
            if time.monotonic() > self._form_by:
                raise Timeout("connect", ())

    def _gather(self, claim: bytes) -> None:
        self._found = {0: self._hello()}
        while missing := [r for r in range(self._settings.size) if r not in self._found]:
            left_s = self._form_by - time.monotonic()
            if left_s <= 0:
                raise Timeout("connect", tuple(missing))
            items = self._store.collect(self._instance, min(left_s, COLLECT_S))
            for item in items:
                self._admit(self._unseal("hello", item))
            if not items:
                self._check_claim(claim)

    def _admit(self, hello: Record | None) -> None:
        if hello is None or hello.get("lead") != self._instance:
            return
        rank, size = hello["rank"], hello["size"]
        if size != self._settings.size:
            raise MismatchError(
                f"rank {rank} says size {size}, rank 0 says size {self._settings.size}"
            )
        known = self._found.get(rank)
        if known is None or _age(hello) > _age(known):
            self._found[rank] = hello

    def _check_claim(self, claim: bytes) -> None:
        seen = self._store.read(LEAD)
        if seen != claim:
            self._respect(self._unseal(LEAD, seen))
            raise RendezvousError("another rank 0 of this job has taken over")

    def _commit(self, claim: bytes) -> Membership:
        epoch = secrets.token_hex(16)
        members = [
            [self._found[rank][name] for name in ("generation", "instance", "witness")]
            for rank in range(self._settings.size)
        ]
        cover = min(int(hello["cover"]) for hello in self._found.values())
        record = {
            "instance": self._instance, "epoch": epoch, "members": members, "cover": cover
        }  # fmt: skip
        formed = self._seal(LEAD, record)
        # A refusal may be the echo of a request that was granted and sent again.
        if not self._store.swap(LEAD, claim, formed) and self._store.read(LEAD) != formed:
            self._check_claim(b"")
        self._store.announce(self._instance, self._settings.size - 1)
        return Membership.read(record)

    def _publish_failure(self, claim: bytes, error: FmiError) -> None:
        words = failure.of_error(error, 0).message()
        record = {"instance": self._instance, "members": [], "failed": words}
        # Read again: S3 replaces what was read last, which may be another's by now.
        still_mine = self._store.read(LEAD) == claim
        if still_mine and self._store.swap(LEAD, claim, self._seal(LEAD, record)):
            self._store.announce(self._instance, self._settings.size - 1)

    # -- the others ------------------------------------------------------------

    def _follow(self) -> Membership:
        self._note_attempt()
        greeted, pause_s = "", PAUSE_S[0]
        while time.monotonic() < self._form_by:
            record = self._unseal(LEAD, self._store.read(LEAD))
            if record is not None:
                if found := self._mine(record):
                    return found
                self._respect(record)
                self._heed_failure(record, greeted)
                open_claim = not record["members"] and "failed" not in record
                if open_claim and record["instance"] != greeted:
                    greeted, pause_s = record["instance"], PAUSE_S[0]
                    self._greet(greeted)
            left_s = max(0.0, self._form_by - time.monotonic())
            self._store.listen(greeted or "nobody", min(left_s, pause_s))
            pause_s = min(1.5 * pause_s, PAUSE_S[1])
        raise Timeout("connect", (0,))

    def _greet(self, lead: str) -> None:
        self._note_attempt()
        hello = {**self._hello(), "lead": lead}
        name = f"{self._settings.rank}-{self._instance}"
        self._store.drop(lead, name, self._seal("hello", hello))

    def _note_attempt(self) -> None:
        """Give way to a newer attempt of this rank that waits too; leave word for an older one.

        Raises:
            StaleGeneration.
        """
        rank, mine = self._settings.rank, self._settings.generation
        seen = self._store.read(f"attempt-{rank}")
        record = self._unseal("attempt", seen) or {"generation": 0, "at": 0.0}
        if record["generation"] > mine and time.time() - record["at"] < MEMORY_S:
            raise StaleGeneration(mine, record["generation"])
        if mine:
            self._store.swap(
                f"attempt-{rank}", seen, self._seal("attempt", {"rank": rank, "generation": mine})
            )

    def _mine(self, record: Record) -> Membership | None:
        members = record["members"]
        if not members or len(members) != self._settings.size:
            return None
        if members[self._settings.rank][1] != self._instance:
            return None
        return Membership.read(record)

    def _heed_failure(self, record: Record, greeted: str) -> None:
        found = failure.read(record.get("failed"))
        if found is not None and record["instance"] == greeted:
            raise found.error()

    # -- all -------------------------------------------------------------------

    def _respect(self, record: Record | None) -> None:
        """Give way to a newer attempt of this rank; fence an older one that is in a job.

        Raises:
            StaleGeneration.
            Aborted: a rank has said that it won't come.
        """
        if record is not None and (found := withdrawal.heard(record)):
            raise found.error()
        rank, mine = self._settings.rank, self._settings.generation
        if record is None or rank >= len(record["members"]):
            return
        theirs, epoch = record["members"][rank][0], record["epoch"]
        if theirs > mine and time.time() - record["at"] < MEMORY_S:
            raise StaleGeneration(mine, theirs)
        if theirs < mine and epoch not in self._fenced:
            self._fenced.add(epoch)
            lost = FailureReport("lost", rank, f"fenced by its generation {mine}")
            alarm = seal(self._settings.secret, "alarm", {**lost.message(), "newer": mine})
            self._store.ring(epoch, len(record["members"]), alarm)

    def _hello(self) -> Record:
        settings = self._settings
        return {
            "rank": settings.rank, "size": settings.size, "generation": settings.generation,
            "instance": self._instance, "witness": self._store.witness(), "at": time.time(),
            "cover": int(offered(full=True)),
        }  # fmt: skip

    def _seal(self, purpose: str, record: Record) -> bytes:
        return seal(self._settings.secret, purpose, {"at": time.time(), **record})

    def _unseal(self, purpose: str, raw: bytes | None) -> Record | None:
        return unseal(self._settings.secret, purpose, raw)


def _age(hello: Record) -> tuple[int, float]:
    return int(hello["generation"]), float(hello["at"])
