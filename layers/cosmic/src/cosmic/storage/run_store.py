"""The objects of one run: the one place that writes them.

`init`, the ranks, `aggregate` and the client that resumes a run write through a `RunStore`. The
state machine's two direct writes (a rank's failure note, and the status if `aggregate` itself
fails) are held to the same contracts by a test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cosmic.abreast import abreast
from cosmic.contracts.failure_note import parse_failure
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.packed import Packed
from cosmic.contracts.packed_plan import parse_packed_plan
from cosmic.contracts.plan import Plan, PlanPart, parse_plan
from cosmic.contracts.plan_parts import pack_parts, part_of, read_part
from cosmic.contracts.rank_record import RankRecord, parse_record
from cosmic.contracts.status import State, Status
from cosmic.errors import InputError, TransientError
from cosmic.storage.damaged import DELETE, RESUME, damaged, parsed
from cosmic.storage.interfaces import JSON, ResultWriter, Writable
from cosmic.storage.status_writer import StatusWriter, current_status

PART_READS = 3
HTML = "text/html; charset=utf-8"
CHECKSUM = "sha256"  # in the metadata of a shard


class RunStore:
    """One run's objects in S3.

    Every method raises `InputError` where S3 refuses or an object is damaged, and
    `TransientError` where S3 failed.

    Args:
        objects: S3.
        folder: The run's.
    """

    def __init__(self, objects: Writable, folder: RunFolder) -> None:
        self.objects = objects
        self.folder = folder

    def claim(self, document: Mapping[str, Any]) -> bool:
        """Write what started the run, once; says whether this call was the first."""
        return self.objects.put_once(self.folder.manifest, json.dumps(document, indent=1).encode())

    def plan(self) -> Plan:
        """The run's plan."""
        return parsed(parse_plan, self.objects.get(self.folder.plan), self.folder.plan)

    def packed_plan(self) -> Plan:
        """The run's plan, whose partitions and ranks take little memory."""
        return parsed(parse_packed_plan, self.objects.get(self.folder.plan), self.folder.plan)

    def find_plan(self) -> Plan | None:
        """The run's plan, if it has been written."""
        found = self.objects.get_current(self.folder.plan)
        return parsed(parse_plan, found[0], self.folder.plan) if found else None

    def plan_once(self, plan: Plan) -> Plan:
        """Write the plan unless there is one; returns the plan that is valid."""
        if self.objects.put_once(self.folder.plan, plan.model_dump_json().encode()):
            return plan
        return self.plan()

    def part(self, rank: int) -> PlanPart:
        """What a rank needs of the plan; of a run planned before there were parts, out of all."""
        try:
            return self._read_part(rank)
        except InputError as error:
            if error.code not in ("not-found", "bad-range"):
                raise
        plan = self.plan()
        if not 0 <= rank < plan.world_size:
            message = f"rank {rank} is out of range: the run has {plan.world_size} ranks"
            raise InputError(message, code="bad-rank")
        return part_of(plan, rank)

    def _read_part(self, rank: int) -> PlanPart:
        """A rank's part; what was damaged on its way here is read again before it is refused."""
        at, broken = self.folder.parts, None
        for _ in range(PART_READS):
            try:
                return read_part(partial(self.objects.get_range, at, etag=""), rank)
            except ValueError as error:
                broken = error
        raise damaged(at, str(broken)) from broken

    def replan(self, plan: Plan, ranks: Iterable[int]) -> None:
        """Leave in the run's folder only what the ranks of a resumed run have to do.

        Args:
            plan: Takes the place of the one before.
            ranks: Those that are computed again; what is noted of their failures goes.
        """
        self.objects.put(self.folder.plan, plan.model_dump_json().encode(), JSON)
        self.objects.put(self.folder.parts, pack_parts(plan))
        self.objects.put_json(self.folder.ranks, _items(ranks))
        for at in list(self._listed("failures/")):
            self.objects.delete(at)

    def items_once(self, plan: Plan) -> None:
        """Write the ranks' parts of the plan and the Map's items, unless there are some.

        A resumed run has its own. The items come last: what they start finds its parts.
        """
        self.objects.put_once(self.folder.parts, pack_parts(plan))
        items = _items(rank.rank for rank in plan.ranks)
        self.objects.put_once(self.folder.ranks, json.dumps(items).encode())

    def status(self) -> Status | None:
        """The status, if it is there and can be read."""
        return self._status()[0]

    def _status(self) -> tuple[Status | None, str]:
        return current_status(self.objects, self.folder.status)

    def announce(self, status: Status) -> None:
        """Say that the run is in progress, unless `aggregate` has already said how it ended.

        A rejection can be there too: of the same event, delivered twice at once, one saw its
        input before it was complete. What was started is what counts.
        """
        body = _text(status)
        if not self.objects.put_once(self.folder.status, body):
            found, etag = self._status()
            if found is not None and found.state is State.REJECTED:
                self.objects.replace(self.folder.status, body, etag)

    def announce_resumed(self, status: Status, seen: Status) -> None:
        """Say that a resumed run goes on, if it is still as it was seen.

        `aggregate` writes an end twice, the second time with the page among its outputs: that is
        still the end that was seen.

        Raises:
            TransientError: the run has been resumed, or has ended, since.
        """
        found, etag = self._status()
        while found is not None and _unchanged(found, seen):
            if self.objects.replace(self.folder.status, _text(status), etag):
                return
            found, etag = self._status()
        message = f"{self.folder.status.uri} was written by another at the same time"
        raise TransientError(message)

    def reject(self, status: Status) -> Status | None:
        """Write a rejection unless there is a status.

        Returns:
            None if it was written, else what is there; the rejection if that can't be read.
        """
        if self.objects.put_once(self.folder.status, _text(status)):
            return None
        return self.status() or status

    def status_writer(self, execution: str) -> StatusWriter:
        """The status as one execution finds and replaces it."""
        return StatusWriter(self.objects, self.folder, execution)

    def records(self, world_size: int) -> Packed[RankRecord]:
        """The records of the ranks that wrote one, by rank."""
        return Packed(RankRecord, self._record_texts(world_size))

    def _record_texts(self, world_size: int) -> Iterator[bytes]:
        """What was read of each record that is there; `InputError` where one is damaged."""
        places = (self.folder.record(rank, world_size) for rank in range(world_size))
        for rank, text in enumerate(abreast(self._get_or_none, places)):
            if text is not None:
                record_of(text, self.folder, rank, world_size)
                yield text

    def whole_ranks(self, world_size: int) -> frozenset[int]:
        """Ranks whose shard is there with the checksum that their record gives.

        A rank writes its record last, when it has met the others. Of one that ended in between,
        the checksum counts that its shard was uploaded with.
        """
        keys = {at.key for at in self._listed("shards/")}
        ranks = range(world_size)
        written = [rank for rank in ranks if self.folder.shard(rank, world_size).key in keys]
        whole = abreast(lambda rank: self._is_whole(rank, world_size), written)
        return frozenset(rank for rank, kept in zip(written, whole, strict=True) if kept)

    def _is_whole(self, rank: int, world_size: int) -> bool:
        text = self._get_or_none(self.folder.record(rank, world_size))
        shard, uploaded_with = self.objects.get_described(self.folder.shard(rank, world_size))
        try:
            record = record_of(text, self.folder, rank, world_size) if text is not None else None
        except InputError:
            return False  # a damaged record vouches for nothing: its rank is computed again
        wanted = record.shard_sha256 if record else uploaded_with.get(CHECKSUM)
        return hashlib.sha256(shard).hexdigest() == wanted

    def write_record(self, record: RankRecord) -> None:
        """Write a rank's record, which vouches for its shard."""
        at = self.folder.record(record.rank, record.world_size)
        self.objects.put(at, record.model_dump_json(indent=1).encode(), JSON)

    def write_shard(self, rank: int, world_size: int, path: Path) -> str:
        """Upload a rank's predictions, and with them the checksum that they have; returns that."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.objects.upload(path, self.folder.shard(rank, world_size), {CHECKSUM: digest})
        return digest

    def collective(self) -> bytes | None:
        """What rank 0 wrote of the closing collective, if it did."""
        return self._get_or_none(self.folder.collective)

    def write_collective(self, record: bytes, gathered: bytes | None) -> None:
        """Write all ranks' rows, if they were gathered, then the record that vouches for them."""
        if gathered is not None:
            self.objects.put(self.folder.gathered, gathered)
        self.objects.put(self.folder.collective, record, JSON)

    def failures(self) -> dict[int, str]:
        """Why ranks failed for good, as the state machine noted it, by rank."""
        notes = [
            parsed(parse_failure, self.objects.get(at), at, DELETE)
            for at in self._listed("failures/")
        ]
        return {note.rank: note.reason for note in notes}

    def result_writer(self, name: str) -> ResultWriter:
        """What writes a file for the user, which appears under its name when it is whole."""
        return self.objects.writer(self.folder.at(name))

    def write_json(self, name: str, document: Any) -> None:
        """Write a JSON document for the user under its name."""
        self.objects.put_json(self.folder.at(name), document)

    def write_metrics(self, metrics: Mapping[str, Any], records: Iterable[RankRecord]) -> None:
        """Write the metrics with the ranks' records, of which one at a time is in memory."""
        ranks = (record.model_dump(mode="json") for record in records)
        self.objects.put_json_list(self.folder.at("metrics.json"), metrics, "ranks", ranks)

    def report_tag(self) -> str:
        """The ETag of the run page; empty: there is none."""
        try:
            return self.objects.head(self.folder.report).etag
        except InputError as error:
            if error.code != "not-found":
                raise
            return ""

    def write_report(self, page: bytes, tag: str, stands: Callable[[], bool]) -> bool:
        """Write the run page, unless that of a resumed run may be there.

        A page takes a minute to draw, in which the run can be resumed and end anew. Its new page
        has another tag than was seen before the old end was written, and so is never written over.

        Args:
            tag: What `report_tag` said before this end of the run was written.
            stands: Whether that end is still there.

        Returns:
            Whether it was written.
        """
        while not self.objects.replace(self.folder.report, page, tag, HTML):
            tag = self.report_tag()  # asked first: as long as the end stands, nobody follows it
            if not stands():
                return False
        return True

    def release_shards(self) -> None:
        """Mark what the catalogue has made superfluous; a failed run's shards are kept."""
        for _ in abreast(self.objects.mark_scratch, self._listed("shards/")):
            pass

    def _listed(self, name: str) -> Iterator[Location]:
        for entry in self.objects.list(self.folder.at(name)):
            yield Location(self.folder.bucket, entry.key)

    def _get_or_none(self, at: Location) -> bytes | None:
        try:
            return self.objects.get(at)
        except InputError as error:
            if error.code != "not-found":
                raise
            return None


def record_of(text: bytes, folder: RunFolder, rank: int, world_size: int) -> RankRecord:
    """The record of a rank, read.

    Raises:
        InputError: it is damaged, or it is another rank's.
    """
    at = folder.record(rank, world_size)
    record = parsed(parse_record, text, at, RESUME)
    if (record.rank, record.world_size) != (rank, world_size):
        raise damaged(at, f"it is of rank {record.rank} of {record.world_size}", RESUME)
    return record


def _unchanged(found: Status, seen: Status) -> bool:
    """Whether a status says of its run what was seen before."""
    same_end = (found.state, found.execution) == (seen.state, seen.execution) and seen.state.final
    return same_end or found == seen


def _items(ranks: Iterable[int]) -> list[dict[str, int]]:
    return [{"rank": rank} for rank in ranks]


def _text(status: Status) -> bytes:
    return status.model_dump_json(indent=1).encode()
