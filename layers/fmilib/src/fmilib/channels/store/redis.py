"""A store in Redis: lists that are read with blocking calls, every key with a time to live.

A lane is one list, so its messages need no key each, and a list that has been read is gone.
Every rank has a list for alarms, which the same blocking read looks at first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fmilib.channels.store.base import KEEP_S, Alarmed
from fmilib.errors import RendezvousError

SLICE_S = 5.0
ANSWER_S = 10.0
MIN_WAIT_S = 0.001
Result = TypeVar("Result")
# Options in the URL win over arguments: messages would be taken for text, waits cut short, and
# reads done again whose answer held a message.
_OWN_OPTIONS = frozenset(
    {"decode_responses", "encoding", "encoding_errors", "socket_timeout", "socket_connect_timeout",
     "retry", "retry_on_timeout", "retry_on_error"}
)  # fmt: skip
_SWAP = """
local now = redis.call('GET', KEYS[1])
if (now or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class RedisStore:
    """See `Store`.

    Args:
        url: "redis://…", "rediss://…" or "unix://…".
        prefix: in front of every key; no other job's.
        patience_s: how long Redis may take for an answer.

    Raises:
        ValueError: the URL isn't one, or sets what must be as it is here.
    """

    segment_bytes = 1 << 20

    def __init__(self, url: str, prefix: str, patience_s: float) -> None:
        _refuse_options(url)
        self._slice_s = min(SLICE_S, patience_s / 2)
        answer_s = min(ANSWER_S, patience_s / 2)
        # No retries: a read that is done again after its answer was lost loses a message.
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=self._slice_s + answer_s,
            socket_connect_timeout=answer_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = prefix
        self._streams = ""
        self._alarm = ""

    def read(self, name: str) -> bytes | None:
        """See `Store`."""
        return _bytes(self._do(lambda: self._client.get(self._key(name))))

    def swap(self, name: str, old: bytes | None, new: bytes) -> bool:
        """See `Store`."""
        arguments = (self._key(name), old or b"", new, str(KEEP_S))
        return bool(self._do(lambda: self._client.eval(_SWAP, 1, *arguments)))

    def keep(self, name: str, item: bytes) -> None:
        """See `Store`."""
        self._do(lambda: self._client.set(self._key(name), item, ex=KEEP_S))

    def drop(self, inbox: str, name: str, item: bytes) -> None:
        """See `Store`."""
        self._push(self._key(f"inbox/{inbox}"), [item])

    def collect(self, inbox: str, wait_s: float) -> list[bytes]:
        """See `Store`."""
        found = self._pop([self._key(f"inbox/{inbox}")], wait_s)
        return [] if found is None else [found[1]]

    def announce(self, bell: str, count: int) -> None:
        """See `Store`."""
        self._push(self._key(f"bell/{bell}"), [b"!"] * count)

    def listen(self, bell: str, wait_s: float) -> None:
        """See `Store`."""
        self._pop([self._key(f"bell/{bell}")], wait_s)

    def enter(self, epoch: str, rank: int, witnesses: list[str]) -> None:
        """See `Store`."""
        self._streams = self._key(f"{epoch}/lane/")
        self._alarm = self._key(f"{epoch}/alarm/{rank}")

    def witness(self) -> str:
        """See `Store`."""
        return ""

    def post(self, stream: str, number: int, dest: int, item: bytes) -> None:
        """Push, renew the time to live and look at the alarm, in one round trip; see `Store`."""
        if (alarm := self._push(self._streams + stream, [item])) is not None:
            raise Alarmed(alarm)

    def take(self, stream: str, number: int, source: int, wait_s: float) -> bytes | None:
        """See `Store`."""
        until = time.monotonic() + wait_s
        while (left_s := until - time.monotonic()) > 0:
            found = self._pop([self._alarm, self._streams + stream], left_s)
            if found is None:
                continue
            if found[0] == self._alarm.encode():
                raise Alarmed(found[1])
            return found[1]
        return None

    def waiting(self, streams: Sequence[tuple[str, int]]) -> int | None:
        """Look at all lanes and at the alarm in one round trip; see `Store`."""
        pipe = self._client.pipeline(transaction=False)
        pipe.lindex(self._alarm, 0)
        for stream, _ in streams:
            pipe.llen(self._streams + stream)
        alarm, *lengths = self._do(pipe.execute)
        if alarm is not None:
            raise Alarmed(bytes(alarm))
        return next((place for place, length in enumerate(lengths) if length), None)

    def ring(self, epoch: str, size: int, item: bytes) -> None:
        """See `Store`."""
        pipe = self._client.pipeline(transaction=False)
        for rank in range(size):
            key = self._key(f"{epoch}/alarm/{rank}")
            pipe.rpush(key, item)
            pipe.expire(key, KEEP_S)
        self._do(pipe.execute)

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    # -- inside ----------------------------------------------------------------

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _push(self, key: str, items: list[bytes]) -> bytes | None:
        """Push and return this rank's alarm, if it was rung."""
        if not items:
            return None
        pipe = self._client.pipeline(transaction=False)
        pipe.rpush(key, *items)
        pipe.expire(key, KEEP_S)
        pipe.lindex(self._alarm or self._key("none"), 0)
        return _bytes(self._do(pipe.execute)[2])

    def _pop(self, names: list[str], wait_s: float) -> tuple[bytes, bytes] | None:
        bound = max(MIN_WAIT_S, min(wait_s, self._slice_s))
        found: Any = self._do(lambda: self._client.blpop(names, bound))
        return None if found is None else (bytes(found[0]), bytes(found[1]))

    def _do(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except redis.RedisError as error:
            raise RendezvousError(f"redis: {error}") from None


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _refuse_options(url: str) -> None:
    found = sorted(_OWN_OPTIONS & parse_qs(urlsplit(url).query, keep_blank_values=True).keys())
    if found:
        raise ValueError(f"Redis's URL mustn't set {', '.join(found)}: leave that to fmilib")
