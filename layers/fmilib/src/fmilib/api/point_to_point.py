"""Messages from rank to rank: lower-case calls on arrays and plain objects."""

from __future__ import annotations

from typing import Any

from fmilib.api.engine import Engine
from fmilib.api.requests import Request
from fmilib.wire import codec
from fmilib.wire.frames import Envelope


class Messages:
    """Point to point, blocking and not.

    Args:
        engine: Runs each call.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def send(self, value: Any, dest: int, tag: int = 0) -> None:
        """See `Communicator.send`."""
        call = self._engine.message(dest, tag)
        parts = codec.encode(value)
        self._engine.run("send", lambda: self._engine.send(dest, call, parts))

    def recv(self, source: int, tag: int = 0) -> Any:
        """See `Communicator.recv`."""
        call = self._engine.message(source, tag)
        self._engine.posted.finish_all(source, tag)
        return self._engine.run("recv", lambda: self._receive(source, call))

    def sendrecv(
        self, value: Any, dest: int, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> Any:
        """See `Communicator.sendrecv`."""
        outgoing, incoming = (
            self._engine.message(dest, sendtag),
            self._engine.message(source, recvtag),
        )
        parts = codec.encode(value)
        self._engine.posted.finish_all(source, recvtag)
        blob = self._engine.run(
            "sendrecv", lambda: self._engine.swap(dest, outgoing, parts, source, incoming)
        )
        return codec.decode(blob)

    def isend(self, value: Any, dest: int, tag: int = 0) -> Request:
        """See `Communicator.isend`."""
        call, parts = self._engine.message(dest, tag), codec.encode(value)
        sending = self._engine.run("isend", lambda: self._engine.begin(dest, call, parts))
        return Request(
            lambda: self._engine.run("isend", sending.test),
            lambda: self._engine.run("isend", sending.finish),
        )

    def irecv(self, source: int, tag: int = 0) -> Request:
        """See `Communicator.irecv`."""
        call = self._engine.message(source, tag)
        return self._engine.posted.receive(
            source,
            tag,
            lambda: self._engine.run("irecv", lambda: self._probe(source, call)) is not None,
            lambda: self._engine.run("irecv", lambda: self._receive(source, call)),
        )

    def iprobe(self, source: int | None = None, tag: int = 0) -> int | None:
        """See `Communicator.iprobe`."""
        call = self._engine.message(self._engine.rank if source is None else source, tag)
        return self._engine.run("iprobe", lambda: self._probe(source, call))

    def _probe(self, source: int | None, call: Envelope) -> int | None:
        if source in (None, self._engine.rank) and self._engine.own.arrived(call, None) is not None:
            return self._engine.rank
        if source == self._engine.rank:
            return None
        return self._engine.channel.arrived(call, None if source is None else [source])

    def _receive(self, source: int, call: Envelope) -> Any:
        return codec.decode(self._engine.receive(source, call))
