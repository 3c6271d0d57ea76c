"""A store on one machine: files in a private folder, and a Unix socket a rank as its doorbell.

A message is written beside its place and renamed into it, then its reader's bell is rung; a
reader sleeps in its socket, never in a loop. Processes of one machine can see each other live,
so a rank that has died is noticed as soon as someone waits for it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import select
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fmilib.channels.store.base import KEEP_S, Alarmed, PeerGone
from fmilib.errors import RendezvousError

LOOK_S = 0.1
_RING = b"!"
_STAT_STARTED = 19


class LocalStore:
    """See `Store`.

    Args:
        folder: shared by the ranks of this machine; made if it isn't there.
        name: of the job's own folder in it; no other job's.
    """

    segment_bytes = 1 << 20

    def __init__(self, folder: Path, name: str) -> None:
        with _errors():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                raise RendezvousError(f"{folder} belongs to another user")
            self._home = folder / name
            self._home.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._bell_name = ""
        self._epoch = ""
        self._witnesses: list[str] = []

    def read(self, name: str) -> bytes | None:
        """See `Store`."""
        return _read(self._home / name)

    def swap(self, name: str, old: bytes | None, new: bytes) -> bool:
        """See `Store`."""
        with _errors(), (self._home / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _read(self._home / name) != old:
                return False
            self._write(self._home / name, new)
        self._forget_the_old()
        return True

    def keep(self, name: str, item: bytes) -> None:
        """See `Store`."""
        self._write(self._home / name, item)

    def drop(self, inbox: str, name: str, item: bytes) -> None:
        """See `Store`."""
        self._write(self._home / f"inbox-{inbox}" / name, item)
        self._ring(f"{inbox}.s")

    def collect(self, inbox: str, wait_s: float) -> list[bytes]:
        """See `Store`."""
        if not self._bell_name:
            self._hang(f"{inbox}.s")
        folder = self._home / f"inbox-{inbox}"
        until = time.monotonic() + wait_s
        while not (found := _drain(folder)) and (left_s := until - time.monotonic()) > 0:
            self._sleep(left_s)
        return found

    def announce(self, bell: str, count: int) -> None:
        """Nothing: those who listen look by themselves; see `Store`."""

    def listen(self, bell: str, wait_s: float) -> None:
        """See `Store`."""
        time.sleep(wait_s)

    def enter(self, epoch: str, rank: int, witnesses: list[str]) -> None:
        """See `Store`."""
        self._epoch = epoch
        self._witnesses = witnesses
        self._unhang()
        self._hang(f"{epoch}-{rank}.s")

    def witness(self) -> str:
        """Return this process's number and when it was started; see `Store`."""
        return f"{os.getpid()} {_started(os.getpid())}"

    def post(self, stream: str, number: int, dest: int, item: bytes) -> None:
        """See `Store`."""
        self._look_for_alarm()
        self._write(self._message(stream, number), item)
        self._ring(f"{self._epoch}-{dest}.s")

    def take(self, stream: str, number: int, source: int, wait_s: float) -> bytes | None:
        """See `Store`."""
        path = self._message(stream, number)
        until = time.monotonic() + wait_s
        while (item := _read(path)) is None:
            self._look_for_alarm()
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            if not self._sleep(min(left_s, LOOK_S)) and self._is_gone(source):
                item = _read(path)
                if item is None:
                    raise PeerGone("its process has ended")
                break
        path.unlink()
        return item

    def waiting(self, streams: Sequence[tuple[str, int]]) -> int | None:
        """See `Store`."""
        self._look_for_alarm()
        there = (self._message(*stream).exists() for stream in streams)
        return next((place for place, found in enumerate(there) if found), None)

    def ring(self, epoch: str, size: int, item: bytes) -> None:
        """See `Store`."""
        place = self._home / epoch / "alarm"
        aside = self._aside(place.parent, item)
        with _errors():
            try:
                os.link(aside, place)
            except FileExistsError:
                return
            finally:
                aside.unlink()
        for rank in range(size):
            self._ring(f"{epoch}-{rank}.s")

    def close(self) -> None:
        """See `Store`."""
        self._unhang()
        self._bell.close()
        os.close(self._descriptor)

    # -- inside ----------------------------------------------------------------

    def _message(self, stream: str, number: int) -> Path:
        return self._home / self._epoch / f"{stream.replace('/', '_')}_{number}"

    def _look_for_alarm(self) -> None:
        item = _read(self._home / self._epoch / "alarm")
        if item is not None:
            raise Alarmed(item)

    def _is_gone(self, rank: int) -> bool:
        number, _, started = self._witnesses[rank].partition(" ")
        return _started(int(number)) != started

    def _write(self, path: Path, item: bytes) -> None:
        with _errors():
            self._aside(path.parent, item).replace(path)

    def _aside(self, folder: Path, item: bytes) -> Path:
        path = self._home / f"new-{secrets.token_hex(8)}"
        with _errors():
            folder.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(item)
        return path

    def _hang(self, name: str) -> None:
        with _errors():
            self._bell.bind(self._address(name))
        self._bell_name = name

    def _unhang(self) -> None:
        if self._bell_name:
            (self._home / self._bell_name).unlink(missing_ok=True)
            self._bell.close()
            self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._bell_name = ""

    def _ring(self, name: str) -> None:
        """Wake a rank: one that isn't there yet, or has rings waiting, looks by itself."""
        try:
            self._bell.sendto(_RING, self._address(name))
        except OSError:
            return

    def _address(self, name: str) -> str:
        """Return a socket's path, short whatever the folder's is."""
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def _sleep(self, wait_s: float) -> bool:
        """Wait for a ring; return whether there was one."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if not poll.poll(max(1.0, wait_s * 1000)):
            return False
        try:
            while True:
                self._bell.recv(1)
        except BlockingIOError:
            return True

    def _forget_the_old(self) -> None:
        """Delete what runs have left that nobody can be in any more."""
        before = time.time() - KEEP_S
        for path in self._home.iterdir():
            try:
                if path.stat().st_mtime < before and path.name not in ("lead", "lock"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except FileNotFoundError:  # another rank was faster
                continue


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RendezvousError(f"local: {error}") from None


def _drain(folder: Path) -> list[bytes]:
    """Return and remove what is in a folder."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        found.append(path.read_bytes())
        path.unlink()
    return found


def _started(number: int) -> str:
    """Return when a process was started, in the kernel's ticks; empty if it has ended."""
    try:
        facts = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if facts[0] in "ZX" else facts[_STAT_STARTED]


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RendezvousError(f"local: {error}") from None
