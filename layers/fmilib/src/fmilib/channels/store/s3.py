"""A store in S3, by its API alone: one object a message, claims by conditional puts.

Readers poll with growing pauses up to a bound. What was read is deleted in batches; what
nobody reads, a crashed run's, is for the bucket's lifecycle rule.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from fmilib.channels.store.base import Alarmed
from fmilib.errors import RendezvousError

PAUSE_S = (0.002, 0.1)
GROWTH = 1.5
DELETE_EVERY = 500
ANSWER_S, ATTEMPTS = 30.0, 3
_ABSENT = ("NoSuchKey", "404")
_CONFLICT = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class S3Store:
    """See `Store`.

    Args:
        bucket: where objects are kept.
        prefix: in front of every key; no other job's.
        alarm_s: how often a waiting rank looks for an alarm.
        patience_s: how long S3 may take for an answer, all attempts together.
    """

    segment_bytes = 16 << 20

    def __init__(self, bucket: str, prefix: str, alarm_s: float, patience_s: float) -> None:
        attempt_s = min(ANSWER_S, max(1.0, patience_s / ATTEMPTS))
        config = Config(
            connect_timeout=attempt_s,
            read_timeout=attempt_s,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        self._client: Any = boto3.session.Session().client("s3", config=config)
        self._bucket = bucket
        self._prefix = prefix
        self._alarm_s = alarm_s
        self._epoch = ""
        self._looked = 0.0
        self._etags: dict[str, str] = {}
        self._seen: set[str] = set()
        self._spent: list[str] = []

    def read(self, name: str) -> bytes | None:
        """See `Store`."""
        return self._get(name)

    def swap(self, name: str, old: bytes | None, new: bytes) -> bool:
        """See `Store`; `old` must be what this store has read or swapped in last."""
        condition = {"IfNoneMatch": "*"} if old is None else {"IfMatch": self._etags[name]}
        return self._put(name, new, condition)

    def keep(self, name: str, item: bytes) -> None:
        """See `Store`."""
        self._put(name, item)

    def drop(self, inbox: str, name: str, item: bytes) -> None:
        """Put the item into a key's name, so that a listing reads it; see `Store`."""
        self._put(f"inbox/{inbox}/{base64.urlsafe_b64encode(item).decode()}", b"")

    def collect(self, inbox: str, wait_s: float) -> list[bytes]:
        """See `Store`."""
        for _ in _pauses(wait_s):
            fresh = [name for name in self._list(f"inbox/{inbox}/") if name not in self._seen]
            if fresh:
                self._seen.update(fresh)
                self._delete(fresh)
                return [_item(name) for name in fresh]
        return []

    def announce(self, bell: str, count: int) -> None:
        """Nothing: those who listen look by themselves; see `Store`."""

    def listen(self, bell: str, wait_s: float) -> None:
        """See `Store`."""
        time.sleep(wait_s)

    def enter(self, epoch: str, rank: int, witnesses: list[str]) -> None:
        """See `Store`."""
        self._epoch = epoch

    def witness(self) -> str:
        """See `Store`."""
        return ""

    def post(self, stream: str, number: int, dest: int, item: bytes) -> None:
        """See `Store`."""
        self._look_for_alarm()
        self._put(self._message(stream, number), item)

    def take(self, stream: str, number: int, source: int, wait_s: float) -> bytes | None:
        """See `Store`."""
        name = self._message(stream, number)
        for _ in _pauses(wait_s):
            item = self._get(name)
            if item is not None:
                self._etags.pop(name, None)
                self._delete([name])
                return item
            self._look_for_alarm()
        return None

    def waiting(self, streams: Sequence[tuple[str, int]]) -> int | None:
        """Ask for one lane after another, a request each; see `Store`."""
        self._look_for_alarm()
        there = (self._has(self._message(*stream)) for stream in streams)
        return next((place for place, found in enumerate(there) if found), None)

    def ring(self, epoch: str, size: int, item: bytes) -> None:
        """See `Store`."""
        self._put(f"{epoch}/alarm", item, {"IfNoneMatch": "*"})

    def close(self) -> None:
        """See `Store`."""
        try:
            self._flush()
        except RendezvousError:  # the lifecycle rule deletes them
            self._spent.clear()
        self._client.close()

    # -- inside ----------------------------------------------------------------

    def _message(self, stream: str, number: int) -> str:
        return f"{self._epoch}/lane/{stream}/{number:010d}"

    def _look_for_alarm(self) -> None:
        now = time.monotonic()
        if now - self._looked < self._alarm_s:
            return
        self._looked = now
        item = self._get(f"{self._epoch}/alarm")
        if item is not None:
            raise Alarmed(item)

    def _get(self, name: str) -> bytes | None:
        with _errors():
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
                body = bytes(found["Body"].read())
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
        self._etags[name] = found["ETag"]
        return body

    def _has(self, name: str) -> bool:
        with _errors():
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._key(name))
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
        return True

    def _put(self, name: str, item: bytes, condition: dict[str, str] | None = None) -> bool:
        with _errors():
            try:
                answer = self._client.put_object(
                    Bucket=self._bucket, Key=self._key(name), Body=item, **(condition or {})
                )
            except ClientError as error:
                if condition and _code(error) in (*_CONFLICT, *_ABSENT):
                    return False
                raise
        if condition:
            self._etags[name] = answer["ETag"]
        return True

    def _list(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2")
        with _errors():
            return [
                item["Key"][len(self._prefix) + 1 :]
                for page in pages.paginate(Bucket=self._bucket, Prefix=self._key(prefix))
                for item in page.get("Contents", [])
            ]

    def _delete(self, names: list[str]) -> None:
        self._spent += names
        if len(self._spent) >= DELETE_EVERY:
            self._flush()

    def _flush(self) -> None:
        while self._spent:
            batch, self._spent = self._spent[:1000], self._spent[1000:]
            objects = [{"Key": self._key(name)} for name in batch]
            with _errors():
                self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
                )

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise RendezvousError(f"s3: {error}") from None


def _item(name: str) -> bytes:
    """Return what a key's name carries; nothing, if that is no name of ours."""
    try:
        return base64.urlsafe_b64decode(name.rpartition("/")[2])
    except ValueError:
        return b""


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _pauses(wait_s: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Yield at once, then after growing pauses, until the time is over."""
    until, pause_s = time.monotonic() + wait_s, PAUSE_S[0]
    while True:
        yield
        left_s = until - time.monotonic()
        if left_s <= 0:
            return
        sleep(min(pause_s, left_s))
        pause_s = min(GROWTH * pause_s, PAUSE_S[1])
