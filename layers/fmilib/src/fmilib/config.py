"""What a rank needs to know to join: arguments first, then `FMI_*` variables, then defaults."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from fmilib.trace import Hook
from fmilib.wire import keys, payload_auth

MAX_RANKS = 65_535
MAX_JOB_BYTES = 256
MAX_GENERATION = 2**31 - 1
CHANNELS = ("direct", "redis", "s3", "local")
INTEGRITY = ("full", "header")
ON_FAILURE = ("abort", "rejoin")
AUTO = "auto"
TYPICAL_BYTES = 64 * 1024
DEFAULT_MEMORY_MB = 1024
MAX_TIMEOUT_S = 7 * 86_400.0  # poll takes 31 bits of milliseconds
MAX_DETECT_S = 86_400.0  # a quarter of it is the keepalive's, which takes 32,767 s


@dataclass(frozen=True, slots=True)
class Settings:
    """One rank's settings, checked.

    Attributes:
        rank: this rank, 0 ≤ rank < size.
        size: ranks in the job.
        job: the job's name, at most 256 bytes; it keeps jobs of one rendezvous apart.
        secret: the job's secret; may be empty only if size is 1.
        host, port: the rendezvous; unused if size is 1.
        generation: which attempt of this rank this is; a newer fences an older.
        timeout_s: bound of every single wait, the forming of the job included.
        detect_s: bound from the first failure to the error on every surviving rank.
        deadline: `time.monotonic()` seconds after which the job is aborted cleanly, or None.
        channel: how payloads travel.
        store: where a stored channel keeps them: Redis's URL, "bucket/prefix", or a folder.
        hint: what the choice of a channel looks for: "fast", "cheap" or "slo(seconds)".
        memory_mb: of this rank's function, for what it costs while it waits.
        typical_bytes: payload a rank of the allreduce that a channel is chosen for.
        encrypt: whether payloads are encrypted.
        integrity: "full": header and payload of every frame; "header": headers only.
        on_failure: "abort": a failed job is over; "rejoin": its ranks may form it anew.
        bind: local address to listen on; empty for the one that reaches the rendezvous.
        advertise: address that other ranks are told; empty for the bound one.
        trace: called with events; see `fmilib.trace`.
    """

    rank: int
    size: int
    job: str
    secret: bytes
    host: str
    port: int
    generation: int
    timeout_s: float
    detect_s: float
    deadline: float | None
    channel: str
    store: str
    hint: str
    memory_mb: int
    typical_bytes: int
    encrypt: bool
    integrity: str
    on_failure: str
    bind: str
    advertise: str
    trace: Hook | None = None

    def __post_init__(self) -> None:
        _require(1 <= self.size <= MAX_RANKS, f"size must be 1..{MAX_RANKS}, got {self.size}")
        _require(0 <= self.rank < self.size, f"rank must be 0..{self.size - 1}, got {self.rank}")
        _require(0 <= self.generation <= MAX_GENERATION, f"bad generation {self.generation}")
        check_timeout(self.timeout_s)
        _require_seconds("detect_s", self.detect_s, MAX_DETECT_S)
        finite = self.deadline is None or math.isfinite(self.deadline)
        _require(finite, "deadline, remaining_s and reserve_s must be finite; leave out for none")
        _require(self.channel in CHANNELS, f"channel must be one of {CHANNELS}: {self.channel}")
        _require(self.integrity in INTEGRITY, f"integrity must be one of {INTEGRITY}")
        _require(
            self.on_failure in ON_FAILURE,
            f"on_failure must be one of {ON_FAILURE}: {self.on_failure}",
        )
        if self.size > 1:
            self._check_shared()

    def _check_shared(self) -> None:
        length = len(self.job.encode())
        _require(1 <= length <= MAX_JOB_BYTES, f"job must be 1..{MAX_JOB_BYTES} bytes: {length}")
        _require(
            len(self.secret) >= keys.MIN_SECRET_BYTES,
            f"secret must be at least {keys.MIN_SECRET_BYTES} bytes, got {len(self.secret)}",
        )
        if self.channel == "direct":
            bare = bool(self.host) and not set(self.host) & set("/@?# ")
            _require(
                bare and 0 < self.port < 65536,
                f"rendezvous must be host:port, without http:// or a path; got {self._endpoint()}",
            )
            can = payload_auth.HAVE_GMAC or not self.encrypt
            _require(can, "encrypt needs the package cryptography: pip install 'fmilib[encrypt]'")
        elif self.channel != "local":
            _require(bool(self.store), f"channel {self.channel} needs a store")

    def _endpoint(self) -> str:
        return f"host {self.host!r} and port {self.port or 'none'}"

    def __repr__(self) -> str:
        return f"Settings(job={self.job!r}, rank={self.rank}, size={self.size})"


def settings(
    arguments: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Settings:
    """Build the settings of a rank.

    Args:
        arguments: the keywords of `fmilib.connect`; None means "not given".
        environment: where `FMI_*` are looked up; the process's own if None.

    Raises:
        ValueError: a value is missing or can't be.
    """
    source = _Source(arguments, os.environ if environment is None else environment)
    host, port = _endpoint(source.text("rendezvous", ""))
    return Settings(
        rank=source.integer("rank", None),
        size=source.integer("size", None),
        job=source.text("job", ""),
        secret=source.secret(),
        host=host,
        port=port,
        generation=source.integer("generation", 0),
        timeout_s=source.number("timeout_s", 60.0),
        detect_s=source.number("detect_s", 10.0),
        deadline=_deadline(source),
        channel=source.text("channel", "direct"),
        store=_store(source),
        hint=source.text("hint", "fast"),
        memory_mb=source.integer("memory_mb", _function_memory_mb(source)),
        typical_bytes=source.integer("typical_bytes", TYPICAL_BYTES),
        encrypt=source.flag("encrypt"),
        integrity=source.text("integrity", "full"),
        on_failure=source.text("on_failure", "abort"),
        bind=source.text("bind", ""),
        advertise=source.text("advertise", ""),
        trace=source.hook(),
    )


def candidates(
    arguments: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> list[Settings]:
    """Build the settings of a rank for each channel that it has been told how to reach.

    Raises:
        ValueError: a value is missing or can't be; no channel can be reached.
    """
    environment = os.environ if environment is None else environment
    source = _Source(arguments, environment)
    ways = {"direct": "rendezvous", "redis": "redis_url", "s3": "s3_bucket"}
    reached = [channel for channel, name in ways.items() if source.text(name, "")]
    _require(bool(reached), f"channel auto needs one of {', '.join(ways.values())}")
    return [settings({**arguments, "channel": one, "store": None}, environment) for one in reached]


def fallback(
    arguments: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Settings | None:
    """Build the settings of a rank for the store that stands in for links; None if none does.

    Raises:
        ValueError: a value is missing or can't be.
    """
    environment = os.environ if environment is None else environment
    name = _Source(arguments, environment).text("fallback", "")
    return settings({**arguments, "channel": name}, environment) if name else None


def asks_for_choice(
    arguments: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> bool:
    """Return whether the channel is to be chosen by its time and money."""
    source = _Source(arguments, os.environ if environment is None else environment)
    return source.text("channel", "direct") == AUTO


class _Source:
    """Looks a value up: the argument if given, else the variable, else the default."""

    def __init__(self, arguments: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = environment

    def raw(self, name: str) -> object | None:
        given = self._arguments.get(name)
        return given if given is not None else self._environment.get(f"FMI_{name.upper()}")

    def variable(self, name: str) -> str:
        return self._environment.get(name, "")

    def text(self, name: str, default: str) -> str:
        value = self.raw(name)
        return default if value is None else str(value)

    def integer(self, name: str, default: int | None) -> int:
        value = self.raw(name)
        if value is None:
            _require(default is not None, f"{name} is missing: give it or set FMI_{name.upper()}")
            return default or 0
        try:
            return int(str(value))
        except ValueError:
            raise ValueError(f"{name} must be a whole number, got {value!r}") from None

    def number(self, name: str, default: float) -> float:
        value = self.raw(name)
        try:
            return default if value is None else float(str(value))
        except ValueError:
            raise ValueError(f"{name} must be a number of seconds, got {value!r}") from None

    def flag(self, name: str) -> bool:
        value = str(self.raw(name) or "0").lower()
        _require(value in ("0", "1", "true", "false"), f"{name} must be 0 or 1, got {value!r}")
        return value in ("1", "true")

    def hook(self) -> Hook | None:
        value = self._arguments.get("trace")
        _require(value is None or callable(value), f"trace must be callable, got {value!r}")
        return cast("Hook | None", value)

    def secret(self) -> bytes:
        value = self.raw("secret")
        if isinstance(value, bytes | bytearray):
            return bytes(value)
        try:
            return bytes.fromhex(str(value or ""))
        except ValueError:
            raise ValueError("secret must be bytes, or hexadecimal in FMI_SECRET") from None


def _deadline(source: _Source) -> float | None:
    absolute, remaining = source.raw("deadline"), source.raw("remaining_s")
    _require(absolute is None or remaining is None, "give deadline or remaining_s, not both")
    reserve = source.number("reserve_s", 0.0)
    if remaining is not None:
        return time.monotonic() + source.number("remaining_s", 0.0) - reserve
    return None if absolute is None else source.number("deadline", 0.0) - reserve


def _function_memory_mb(source: _Source) -> int:
    """Return what Lambda says of this function's memory."""
    told = source.variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    return int(told) if told.isdecimal() else DEFAULT_MEMORY_MB


def _store(source: _Source) -> str:
    """Return the store that was given, or that the channel's own variables name."""
    channel = source.text("channel", "direct")
    if (given := source.text("store", "")) or channel == "direct":
        return given
    if channel == "s3":
        return f"{source.text('s3_bucket', '')}/{source.text('s3_prefix', '')}".strip("/")
    return source.text({"redis": "redis_url", "local": "local_dir"}.get(channel, "store"), "")


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        return (host, 0)
    return (host.strip("[]"), int(port))


def check_timeout(seconds: float) -> None:
    """Refuse a bound of waits that the system can't keep.

    Raises:
        ValueError: it isn't above 0 and at most a week.
    """
    _require_seconds("timeout_s", seconds, MAX_TIMEOUT_S)


def _require_seconds(name: str, seconds: float, most: float) -> None:
    _require(0 < seconds <= most, f"{name} must be above 0 and at most {most:g}, got {seconds}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
