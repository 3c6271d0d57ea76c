"""From settings to a stored channel: open the store, form the job, hand both on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fmilib.channels.store.base import Store, namespace
from fmilib.channels.store.bootstrap import Bootstrap, Membership
from fmilib.channels.store.channel import StoreChannel
from fmilib.channels.store.crypto import can_encrypt, seal
from fmilib.channels.store.lease import Lease
from fmilib.config import Settings
from fmilib.errors import RendezvousError
from fmilib.links.job_state import JobState
from fmilib.stats import Stats
from fmilib.wire.failure import FailureReport

ALARMS_A_DETECT = 8
MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - what is made in it is this user's alone


class StoreFailureReporter:
    """What a communicator over a store has in the place of a control thread.

    Args:
        settings: this rank's.
        store: open.
        member: this rank's place.
        lease: started; by which ranks see each other live.
    """

    def __init__(self, settings: Settings, store: Store, member: Membership, lease: Lease) -> None:
        self._settings = settings
        self._store = store
        self._member = member
        self._lease = lease

    def report(self, found: FailureReport) -> None:
        """Ring the alarm for all ranks; if the store is gone, nobody can be told."""
        self._lease.end()
        item = seal(self._settings.secret, "alarm", found.message())
        try:
            self._store.ring(self._member.epoch, self._settings.size, item)
        except RendezvousError:
            return

    def ask_who_is_missing(self, timeout_s: float) -> tuple[int, ...]:
        """Return nothing: a job over a store has formed before its communicator is made."""
        return ()

    def finish(self) -> None:
        """Let go of the store; what was sent stays there for its readers."""
        self._lease.leave()
        self._store.close()


def open_channel(
    settings: Settings, state: JobState, stats: Stats, form_by: float
) -> tuple[StoreChannel, StoreFailureReporter]:
    """Form the job in its store; return this rank's channel and its failure reporter.

    Raises:
        ValueError: the store's package isn't installed, or can't encrypt.
        Timeout, StaleGeneration, MismatchError, RendezvousError, PeerFailed, Aborted.
    """
    if settings.encrypt and not can_encrypt():
        raise ValueError("encrypt needs the package cryptography: pip install 'fmilib[encrypt]'")
    store = open_store(settings)
    try:
        member = Bootstrap(settings, store, form_by).form()
        store.enter(member.epoch, settings.rank, member.witnesses)
    except BaseException:
        store.close()
        raise
    state.epoch = int(member.epoch[:8], 16)
    state.trace("job.formed", epoch=state.epoch, channel=settings.channel)
    lease = Lease(settings, store, member.epoch)
    lease.start()
    mail = StoreChannel(settings, member, store, stats, lease)
    return mail, StoreFailureReporter(settings, store, member, lease)


def open_store(settings: Settings) -> Store:
    """Return the store that the settings name.

    Raises:
        ValueError: its package isn't installed.
        RendezvousError: it can't be used.
    """
    name = namespace(settings.job, settings.secret)
    try:
        return _OPENERS[settings.channel](settings, name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"channel {settings.channel} needs the package {error.name}: "
            f"pip install 'fmilib[{settings.channel}]'"
        ) from None


def _redis(settings: Settings, name: str) -> Store:
    from fmilib.channels.store.redis import RedisStore

    prefix = f"fmi/{{{name}}}"  # in braces: one slot of a cluster
    return RedisStore(settings.store, prefix, settings.timeout_s)


def _s3(settings: Settings, name: str) -> Store:
    from fmilib.channels.store.s3 import S3Store

    bucket, _, prefix = settings.store.removeprefix("s3://").partition("/")
    folder = "/".join(part for part in (prefix.strip("/"), name) if part)
    return S3Store(bucket, folder, settings.detect_s / ALARMS_A_DETECT, settings.timeout_s)


def _local(settings: Settings, name: str) -> Store:
    from fmilib.channels.store.local import LocalStore

    in_memory = os.access(MEMORY_FOLDER, os.W_OK | os.X_OK)
    parent = MEMORY_FOLDER if in_memory else tempfile.gettempdir()
    return LocalStore(Path(settings.store or f"{parent}/fmilib-{os.getuid()}"), name)


_OPENERS = {"redis": _redis, "s3": _s3, "local": _local}
