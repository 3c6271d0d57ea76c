"""What the stored channels keep: whose it is, who can read it, how long it stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

import fmilib
from fmilib.channels.store import connect, crypto
from fmilib.config import Settings, settings
from fmilib_support.server import DEPLOYMENT_SECRET
from fmilib_support.threads import Crew, ends, values

from .conftest import Way

Comm = fmilib.Communicator
MARK = b"-4815162342-" * 10


class Keep:
    """Looks into the place where a channel keeps its messages, as somebody with a key to it."""

    def __init__(self, way: Way, s3: Any) -> None:
        self._way = way
        self._s3 = s3
        self._place = way.options["store"]
        self._redis = redis.Redis.from_url(self._place) if way.channel == "redis" else None
        if self._redis is not None:
            self._redis.flushdb()

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()

    def items(self) -> dict[str, bytes]:
        """Return all that is kept."""
        if self._redis is not None:
            return self._of_redis(self._redis)
        if self._way.channel == "local":
            files = [path for path in Path(self._place).rglob("*") if path.is_file()]
            return {str(path): path.read_bytes() for path in files}
        bucket = self._place.partition("/")[0]
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {key: self._s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def replace(self, name: str, item: bytes) -> None:
        """Put something else in a place."""
        if self._redis is not None:
            self._redis.lset(name, 0, item)  # type: ignore[arg-type]
        elif self._way.channel == "local":
            Path(name).write_bytes(item)
        else:
            self._s3.put_object(Bucket=self._place.partition("/")[0], Key=name, Body=item)

    @staticmethod
    def _of_redis(client: Any) -> dict[str, bytes]:
        lists = [key.decode() for key in client.keys("fmi/*") if client.type(key) == b"list"]
        return {key: b"".join(client.lrange(key, 0, -1)) for key in lists}

    def lives(self) -> list[int]:
        """Return the time to live of each key of Redis."""
        assert self._redis is not None
        keys: Any = self._redis.keys("fmi/*")
        return [int(self._redis.ttl(key)) for key in keys]


@pytest.fixture
def keep(stored: Way, s3: Any) -> Iterator[Keep]:
    """Return a view of the channel's store."""
    found = Keep(stored, s3)
    yield found
    found.close()


def _lane_items(keep: Keep) -> dict[str, bytes]:
    return {name: item for name, item in keep.items().items() if b"FMI\x01" in item[:4]}


def test_what_a_crashed_run_left_never_matches(stored: Way, job: str) -> None:
    def crash(comm: Comm) -> None:
        comm.barrier()
        if comm.rank == 0:
            comm.send("from the crashed run", 1)
            comm.abort("crash")

    def body(comm: Comm) -> Any:
        comm.barrier()
        if comm.rank == 0:
            comm.send("from this run", 1)
            return None
        return comm.recv(0)

    ends(stored.options, job, 2, crash)
    assert values(stored.options, job, 2, body) == [None, "from this run"]


def test_a_rank_0_that_died_while_forming_holds_nobody_up(stored: Way, job: str) -> None:
    crew = Crew({**stored.options, "timeout_s": 1.0}, job, 3)
    crew.start(0, Comm.barrier)
    crew.start(1, Comm.barrier)
    assert all(isinstance(end.error, fmilib.FmiError) for end in crew.ends().values())
    again = Crew(stored.options, job, 3)
    for rank in (1, 2, 0):
        again.start(rank, lambda comm: comm.allreduce(1))
        time.sleep(0.3)  # the others meet what the dead rank 0 has left
    assert [end.value for end in again.ends().values()] == [3, 3, 3]


def test_changed_bytes_end_the_job_and_give_no_number(stored: Way, job: str, keep: Keep) -> None:
    def body(comm: Comm) -> Any:
        if comm.rank == 0:
            comm.send(np.ones(1000), 1)
            ((name, item),) = _lane_items(keep).items()
            keep.replace(name, item[:-5] + bytes([item[-5] ^ 1]) + item[-4:])
            comm.send("go on", 1, tag=1)
            return comm.recv(1, tag=2)
        comm.recv(0, tag=1)
        return comm.recv(0)

    first, second = ends(stored.options, job, 2, body)
    assert isinstance(second.error, fmilib.PeerFailed), second
    assert "digest" in str(second.error)
    assert isinstance(first.error, fmilib.PeerFailed), first


def test_an_older_message_in_a_newer_ones_place_is_refused(
    stored: Way, job: str, keep: Keep
) -> None:
    def body(comm: Comm) -> Any:
        if comm.rank == 0:
            comm.send(1.0, 1)
            (old,) = _lane_items(keep).values()
            comm.send("go on", 1, tag=1)
            comm.recv(1, tag=2)
            before = _lane_items(keep) if stored.channel == "s3" else {}
            comm.send(2.0, 1)
            (name,) = [name for name in _lane_items(keep) if name not in before]
            keep.replace(name, old)
            comm.send("go on", 1, tag=1)
            return comm.recv(1, tag=2)
        comm.recv(0, tag=1)
        found = [comm.recv(0)]
        comm.send("one is here", 0, tag=2)
        comm.recv(0, tag=1)
        return [*found, comm.recv(0)]

    _, second = ends(stored.options, job, 2, body)
    assert isinstance(second.error, fmilib.PeerFailed), second
    assert "frame 0" in str(second.error)


def test_garbage_wherever_a_rank_looks_before_forming_is_passed_over(stored: Way, job: str) -> None:
    store = connect.open_store(_settings(stored, job))
    assert store.swap("lead", None, b"garbage")
    assert store.swap("attempt-1", None, b"FMIS" + bytes(100))
    crew = Crew(stored.options, job, 2)
    crew.start(1, lambda comm: comm.allreduce(1))
    crew.start(0, lambda comm: comm.allreduce(1))
    found = [end.value for end in crew.ends().values()]
    store.close()
    assert found == [2, 2]


def test_a_wrong_secret_meets_nobody(stored: Way, job: str) -> None:
    crew = Crew({**stored.options, "timeout_s": 1.5}, job, 2)
    crew.start(0, Comm.barrier)
    crew.start(1, Comm.barrier, secret=bytes(32))
    assert all(isinstance(end.error, fmilib.Timeout) for end in crew.ends().values())


@pytest.mark.parametrize("encrypt", [False, True])
def test_payloads_are_readable_in_the_store_only_without_encryption(
    stored: Way, job: str, keep: Keep, encrypt: bool
) -> None:
    if encrypt and not crypto.can_encrypt():
        pytest.skip("the package cryptography isn't installed")

    def body(comm: Comm) -> Any:
        if comm.rank == 0:
            comm.send(MARK, 1)
            seen = any(MARK in item for item in keep.items().values())
            comm.barrier()
            return seen
        comm.barrier()
        return comm.recv(0)

    assert values({**stored.options, "encrypt": encrypt}, job, 2, body) == [not encrypt, MARK]


def test_names_say_nothing_of_the_job_and_what_was_read_is_gone(
    stored: Way, job: str, keep: Keep
) -> None:
    def body(comm: Comm) -> None:
        for _ in range(10):
            comm.allreduce(np.ones(100))

    values(stored.options, job, 3, body)
    assert not _lane_items(keep)
    assert not any(job in name for name in keep.items())


def test_every_key_in_redis_has_a_time_to_live(job: str, redis_url: str) -> None:
    way = Way("redis", {"channel": "redis", "store": redis_url})
    keep = Keep(way, None)
    values(way.options, job, 2, lambda comm: comm.send("unread", 1 - comm.rank))
    ends(way.options, f"{job}-b", 2, lambda comm: comm.abort("no reason"))
    lives = keep.lives()
    keep.close()
    assert lives
    assert all(0 < life <= 3600 for life in lives)


def _settings(way: Way, job: str) -> Settings:
    secret = fmilib.derive_secret(DEPLOYMENT_SECRET, job)
    return settings({"rank": 0, "size": 2, "job": job, "secret": secret, **way.options}, {})


def test_an_inbox_with_more_than_a_thousand_items_is_read_whole(stored: Way, job: str) -> None:
    store = connect.open_store(_settings(stored, job))
    expected = {b"%d" % number for number in range(1005)}
    for item in expected:
        store.drop("box", item.decode(), item)
    found: set[bytes] = set()
    until = time.monotonic() + 60
    while found != expected and time.monotonic() < until:
        found.update(store.collect("box", 0.1))
    assert found == expected
    assert store.collect("box", 0.05) == []
    store.close()


def test_only_one_of_two_claims_is_granted(stored: Way, job: str) -> None:
    one, two = (connect.open_store(_settings(stored, job)) for _ in range(2))
    assert one.read("claim") is None
    assert one.swap("claim", None, b"one")
    assert not two.swap("claim", None, b"two")
    assert two.read("claim") == b"one"
    assert one.swap("claim", b"one", b"one again")
    assert not two.swap("claim", b"one", b"two")
    assert one.read("claim") == b"one again"
    one.close()
    two.close()


def test_a_store_that_cannot_be_reached_is_said_within_the_bound(job: str, bucket: str) -> None:
    began = time.monotonic()
    with pytest.raises(fmilib.RendezvousError, match="redis"):
        fmilib.connect(
            0, 2, job, secret=bytes(32), channel="redis", store="redis://127.0.0.1:1/0",
            timeout_s=1.0,
        )  # fmt: skip
    assert time.monotonic() - began < 6


def test_a_record_that_nobody_of_the_job_has_made_is_no_record() -> None:
    sealed = crypto.seal(bytes(32), "lead", {"size": 2})
    assert crypto.unseal(bytes(32), "lead", sealed) == {"size": 2}
    assert crypto.unseal(bytes(32), "alarm", sealed) is None
    assert crypto.unseal(bytes([1]) * 32, "lead", sealed) is None
    assert crypto.unseal(bytes(32), "lead", sealed[:-1] + b"]") is None
    assert crypto.unseal(bytes(32), "lead", b"garbage") is None
    assert crypto.unseal(bytes(32), "lead", None) is None
