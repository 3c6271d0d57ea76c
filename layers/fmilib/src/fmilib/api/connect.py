"""`connect`: from arguments and `FMI_*` variables to a communicator."""

from __future__ import annotations

import math
import time
from functools import partial

from fmilib.api.communicator import Communicator
from fmilib.api.engine import Engine
from fmilib.api.fallback import safest
from fmilib.channels.loopback import LoopbackChannel
from fmilib.channels.store.connect import open_channel
from fmilib.channels.tcp import TcpChannel
from fmilib.config import Settings, asks_for_choice, candidates, settings
from fmilib.config import fallback as stand_in
from fmilib.connectivity.control import Control
from fmilib.cost_model.hints import Hint
from fmilib.cost_model.select import pick
from fmilib.errors import FmiError
from fmilib.links.job_state import JobState
from fmilib.stats import Stats
from fmilib.trace import Hook, Trace, log_as_asked


def connect(
    rank: int | None = None,
    size: int | None = None,
    job: str | None = None,
    *,
    secret: bytes | None = None,
    rendezvous: str | None = None,
    generation: int | None = None,
    timeout_s: float | None = None,
    detect_s: float | None = None,
    deadline: float | None = None,
    remaining_s: float | None = None,
    reserve_s: float | None = None,
    channel: str | None = None,
    store: str | None = None,
    fallback: str | None = None,
    encrypt: bool | None = None,
    hint: str | Hint | None = None,
    memory_mb: int | None = None,
    typical_bytes: int | None = None,
    integrity: str | None = None,
    on_failure: str | None = None,
    bind: str | None = None,
    advertise: str | None = None,
    trace: Hook | None = None,
    wait: bool = True,
) -> Communicator:
    """Join a job and return this rank's communicator; use it as a context manager.

    Every argument but `trace` and `wait` can be left to a variable: FMI_RANK, FMI_SIZE, FMI_JOB,
    FMI_SECRET (hexadecimal), FMI_RENDEZVOUS, FMI_GENERATION, FMI_TIMEOUT_S, FMI_DETECT_S,
    FMI_DEADLINE, FMI_REMAINING_S, FMI_RESERVE_S, FMI_CHANNEL, FMI_STORE (or FMI_REDIS_URL,
    FMI_S3_BUCKET and FMI_S3_PREFIX, FMI_LOCAL_DIR), FMI_ENCRYPT, FMI_HINT, FMI_MEMORY_MB,
    FMI_TYPICAL_BYTES, FMI_INTEGRITY, FMI_ON_FAILURE, FMI_BIND, FMI_ADVERTISE.
    A job of one rank needs neither rendezvous nor secret.

    Args:
        rank: this rank, 0 ≤ rank < size.
        size: ranks in the job.
        job: its name; use another one, with another secret, for each run.
        secret: the job's secret, at least 16 bytes; see `derive_secret`.
        rendezvous: "host:port" of the rendezvous.
        generation: which attempt of this rank this is (0); a newer one fences an older one.
        timeout_s: the longest that any single wait may take, the wait for the job to form
            included (60).
        detect_s: the longest time from the first failure until every surviving rank gets an
            error (10).
        deadline: `time.monotonic()` seconds at which the function ends; or
        remaining_s: seconds from now until it ends.
        reserve_s: how long before that to stop the job (0).
        channel: how payloads travel: "direct", "redis", "s3" or "local"; only the first needs
            a rendezvous. With "auto" the job forms on direct, redis and s3, as far as
            `rendezvous`, FMI_REDIS_URL and FMI_S3_BUCKET are set; they are measured, and all
            ranks stay on the one that `hint` chooses.
        fallback: "redis", "s3" or "local": form there too, and stay there if not all ranks can
            be linked directly (FMI_FALLBACK).
        store: where redis (a URL), s3 ("bucket/prefix") and local (a folder) keep messages.
        hint: "fast", "cheap", or "slo(seconds)": the cheapest that takes at most so long.
        memory_mb: memory of this function, which says what waiting costs; by default what Lambda
            says.
        typical_bytes: payload per rank of the allreduce that "auto" chooses a channel for (64 KiB).
        encrypt: encrypt payloads, on the way and in a store; must be the same on all ranks, and
            needs the package `cryptography`.
        integrity: "full" authenticates headers and payloads, "header" only headers.
        on_failure: "abort": a failed job is over; "rejoin": its ranks may call `rejoin`, and a rank
            that is started again finds them.
        bind: local address to listen on; by default the one that reaches the rendezvous.
        advertise: address that other ranks are told; by default the bound one.
        trace: called with the name and the details of each event between ranks (paths that are
            tried, handshakes, links, failures), also from other threads; see `fmilib.trace`. The
            same events go to the logger "fmilib", which FMI_LOG=debug (or info …) sends to stderr.
        wait: return only when all ranks are there; otherwise the first operation waits. Stored
            channels always wait.

    Raises:
        ValueError: an argument is missing or not valid.
        RendezvousError: no rendezvous answered in time, or it refused this rank.
        AuthError: the rendezvous doesn't know this job's secret.
        StaleGeneration: a newer attempt of this rank exists.
        MismatchError: other ranks were given another size.
        Timeout: not all ranks came in time; it names them.
        PeerFailed, Aborted: the job failed while it formed, or had failed before.
    """
    given = {
        "rank": rank, "size": size, "job": job, "secret": secret, "rendezvous": rendezvous,
        "generation": generation, "timeout_s": timeout_s, "detect_s": detect_s,
        "deadline": deadline, "remaining_s": remaining_s, "reserve_s": reserve_s,
        "channel": channel, "store": store, "fallback": fallback, "encrypt": encrypt,
        "integrity": integrity,
        "on_failure": on_failure,
        "hint": hint, "memory_mb": memory_mb, "typical_bytes": typical_bytes,
        "bind": bind, "advertise": advertise, "trace": trace,
    }  # fmt: skip
    log_as_asked()
    if asks_for_choice(given):
        return pick(candidates(given), lambda one: _join(one, wait=True))
    found, stored = settings(given), stand_in(given)
    if stored is not None and found.channel == "direct" and found.size > 1:
        return safest(
            lambda: _join(found, wait=True), lambda: _join(stored, wait=True), _trace(found)
        )
    return _join(found, wait=wait)


def _join(found: Settings, *, wait: bool, form_s: float | None = None) -> Communicator:
    try:
        return _joined(found, wait=wait, form_s=form_s)
    except FmiError as error:
        _trace(found)("connect.failed", channel=found.channel, error=error)
        raise


def _joined(found: Settings, *, wait: bool, form_s: float | None) -> Communicator:
    if found.size == 1:
        return _alone(found)
    form_by = time.monotonic() + (found.timeout_s if form_s is None else form_s)
    direct = found.channel == "direct"
    return _together(found, form_by, wait=wait) if direct else _by_store(found, form_by)


def _join_again(found: Settings, timeout_s: float | None) -> Communicator:
    """Form the job of these settings anew within `timeout_s`; later waits are as before."""
    return _join(found, wait=True, form_s=timeout_s)


def _trace(found: Settings) -> Trace:
    return Trace(found.job, found.rank, found.trace)


def _alone(found: Settings) -> Communicator:
    return Communicator(Engine(found, LoopbackChannel(), JobState(0), None, Stats(), 0.0))


def _together(found: Settings, form_by: float, *, wait: bool) -> Communicator:
    began = time.monotonic()
    state, stats = JobState(found.rank, found.generation, _trace(found)), Stats()
    control = Control(found, state, stats)
    channel = TcpChannel(found.rank, found.size, state, control, found.timeout_s)
    engine = Engine(found, channel, state, control, stats, form_by)
    comm = Communicator(engine, partial(_join_again, found))
    try:
        control.start(form_by)
        if wait:
            comm.form()
            stats.form_s = time.monotonic() - began
    except BaseException:
        comm.close()
        raise
    return comm


def _by_store(found: Settings, form_by: float) -> Communicator:
    began = time.monotonic()
    state, stats = JobState(found.rank, trace=_trace(found)), Stats()
    form_by = min(form_by, found.deadline or math.inf)
    channel, reporter = open_channel(found, state, stats, form_by)
    stats.form_s = time.monotonic() - began
    engine = Engine(found, channel, state, reporter, stats, form_by)
    return Communicator(engine, partial(_join_again, found))
