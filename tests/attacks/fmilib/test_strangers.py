"""Strangers at the open ports: wrong secrets, garbage, idle crowds and replays."""

from __future__ import annotations

import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

import fmilib
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous
from fmilib_support.strangers import until_closed

Maker = Callable[[int], Ranks]
WAIT_S = 10.0


def connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


@contextmanager
def garbage(port: int, seed: int) -> Iterator[None]:
    """Hold connections that said nonsense of every kind."""
    rng = random.Random(seed)  # noqa: S311
    kinds = [
        rng.randbytes(300),
        b"FMIR" + (1 << 31).to_bytes(4, "little") + rng.randbytes(64),
        b"FMIR" + (40).to_bytes(4, "little") + b"[" * 40,
        b"FMIR" + (2).to_bytes(4, "little") + b"{}",
        b"FMIL" + rng.randbytes(80),
        b"FMI\x01" + rng.randbytes(92),
        b"GET /" + b"x" * 70_000,
        b"GET /health HTTP/1.1\r\n",
        b"",
    ]
    with ExitStack() as stack:
        for noise in kinds:
            sock = stack.enter_context(connection(port))
            try:
                sock.sendall(noise)
            except OSError:
                continue
        yield


def test_a_rank_with_a_wrong_secret_is_refused_and_harms_nobody(ranks: Maker) -> None:
    job, stranger = ranks(3), ranks(3)
    job.start("connect_only", [0, 1])
    stranger.start("connect_only", [2], secret=bytes(32))
    assert isinstance(stranger.outcome(2).error, fmilib.AuthError)
    job.start("connect_only", [2])
    assert job.values() == [3, 3, 3]


def test_a_stranger_cannot_withdraw_a_rank(ranks: Maker, rendezvous: Rendezvous) -> None:
    job = ranks(3)
    job.start("connect_only", [0, 1])
    for secret in (bytes(32), rendezvous.secret("another job")):
        with pytest.raises(fmilib.AuthError):
            fmilib.withdraw(
                "no", 2, 3, job.job, secret=secret, rendezvous=rendezvous.address, timeout_s=WAIT_S
            )
    job.start("connect_only", [2])
    assert job.values() == [3, 3, 3]


def test_a_rendezvous_that_does_not_know_the_secret_is_refused(
    rendezvous: Rendezvous, job: str
) -> None:
    other_job = rendezvous.secret("another job")
    with pytest.raises(fmilib.AuthError, match="did not prove"):
        fmilib.connect(0, 2, job, secret=other_job, rendezvous=rendezvous.address, timeout_s=5.0)


@pytest.mark.parametrize("seed", range(3))
def test_garbage_at_every_port_does_not_disturb_a_job(
    own_rendezvous: Rendezvous, job: str, seed: int
) -> None:
    with ExitStack() as stack:
        stack.enter_context(garbage(own_rendezvous.port, seed))
        crew = Ranks(own_rendezvous, job, 3)
        stack.callback(crew.close)
        crew.start("links_on_demand")
        ports = [port for rank in range(3) for port in crew.ask(rank)]
        assert len(ports) == 3
        for port in ports:
            stack.enter_context(garbage(port, seed))
        for rank in range(3):
            crew.tell(rank, "go")
        assert [total for total, _ in crew.values()] == [3, 3, 3]
        assert own_rendezvous.alive()


def test_idle_crowds_are_dropped_and_ranks_get_through(
    own_rendezvous: Rendezvous, job: str
) -> None:
    with ExitStack() as stack:
        crew = Ranks(own_rendezvous, job, 2)
        stack.callback(crew.close)
        idle = [stack.enter_context(connection(own_rendezvous.port)) for _ in range(700)]
        crew.start("links_on_demand")
        for rank in range(2):
            for port in crew.ask(rank):
                idle += [stack.enter_context(connection(port)) for _ in range(150)]
        for rank in range(2):
            crew.tell(rank, "go")
        assert [total for total, _ in crew.values()] == [2, 2]
        assert until_closed(idle[0]) == b""


def test_clients_that_hang_up_early_leave_nothing_behind(own_rendezvous: Rendezvous) -> None:
    own_rendezvous.health()
    before = own_rendezvous.descriptors()
    for number in range(300):
        with connection(own_rendezvous.port) as sock:
            sock.sendall(b"FMIR"[: number % 5])
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with connection(own_rendezvous.port) as last:
        last.sendall(b"????????")
        until_closed(last)
    assert own_rendezvous.health()["ranks"] == 0
    assert own_rendezvous.descriptors() <= before + 5


def test_health_is_answered_and_names_nobody(own_rendezvous: Rendezvous) -> None:
    facts = own_rendezvous.health()
    assert facts["status"] == "ok"
    counts = {"jobs", "formed", "ranks", "connections", "relays", "relayed_bytes"}
    assert facts.keys() == {"status", *counts}
    with connection(own_rendezvous.port) as sock:
        sock.sendall(b"GET /secrets HTTP/1.1\r\n\r\n")
        assert until_closed(sock).startswith(b"HTTP/1.1 404")


class _Recorder:
    """Forwards one connection to a port and keeps what the client said."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._door.getsockname()[1]}"
        self.said = b""

    def forward_one(self) -> None:
        client, _ = self._door.accept()
        with client, connection(self._port) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [], WAIT_S)
                for source in ready:
                    piece = source.recv(65536)
                    if not piece:
                        return
                    if source is client:
                        self.said += piece
                    (server if source is client else client).sendall(piece)

    def close(self) -> None:
        self._door.close()


def test_a_replayed_registration_is_refused(own_rendezvous: Rendezvous, job: str) -> None:
    recorder = _Recorder(own_rendezvous.port)
    thread = threading.Thread(target=recorder.forward_one)
    thread.start()
    try:
        with pytest.raises(fmilib.Timeout):
            fmilib.connect(
                0, 2, job, secret=own_rendezvous.secret(job), rendezvous=recorder.address,
                timeout_s=0.5,
            )  # fmt: skip
        thread.join(WAIT_S)
    finally:
        recorder.close()
    assert b"hello" in recorder.said
    with connection(own_rendezvous.port) as sock:
        sock.sendall(recorder.said)
        heard = until_closed(sock)
    assert b"challenge" in heard
    assert b"welcome" not in heard
    assert own_rendezvous.health()["ranks"] == 0
