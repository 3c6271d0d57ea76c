"""Messages from rank to rank: lower-case calls on arrays and plain objects."""

from __future__ import annotations

from typing import Any

from fmilib.api.lifecycle import Lifecycle
from fmilib.api.requests import Request
from fmilib.wire import codec
from fmilib.wire.frames import Envelope


class MessageCalls(Lifecycle):
    """Point to point, blocking and not."""

    def send(self, value: Any, dest: int, tag: int = 0) -> None:
        """Send an array or a plain object to one rank.

        Returns when the kernel has it; `value` may be changed then.

        Args:
            value: anything that `fmilib.wire.codec` knows.
            dest: the rank that receives it.
            tag: 0 ≤ tag < 2³¹; messages of one tag stay in order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        call = self._message(dest, tag)
        parts = codec.encode(value)
        self._run("send", lambda: self._to(dest).send(self._place(dest), call, parts))

    def recv(self, source: int, tag: int = 0) -> Any:
        """Return the next array or object that `source` sent with this tag.

        Raises:
            ValueError: before anything is received.
            FmiError: the job failed.
        """
        call = self._message(source, tag)
        self._posted.finish_all(source, tag)
        return self._run("recv", lambda: self._receive(source, call))

    def sendrecv(
        self, value: Any, dest: int, source: int, sendtag: int = 0, recvtag: int = 0
    ) -> Any:
        """Send to one rank and receive from another (or the same), side by side.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        outgoing, incoming = self._message(dest, sendtag), self._message(source, recvtag)
        parts = codec.encode(value)
        self._posted.finish_all(source, recvtag)
        blob = self._run("sendrecv", lambda: self._swap(dest, outgoing, parts, source, incoming))
        return codec.decode(blob)

    def isend(self, value: Any, dest: int, tag: int = 0) -> Request:
        """Begin to send; `value` mustn't change until the request is over.

        What the kernel takes leaves at once, the rest whenever this rank is in a call of the
        communicator: `test` and `wait` of any request, any other operation, `close`. It waits
        for nobody but, the first time, for the link. Messages of one tag stay in order.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        call, parts = self._message(dest, tag), codec.encode(value)
        sending = self._run("isend", lambda: self._to(dest).begin(self._place(dest), call, parts))
        return Request(
            lambda: self._run("isend", sending.test), lambda: self._run("isend", sending.finish)
        )

    def irecv(self, source: int, tag: int = 0) -> Request:
        """Begin to receive; requests of one source and tag get messages in the order they began.

        Raises:
            ValueError: before anything is received.
        """
        call = self._message(source, tag)
        return self._posted.receive(
            source,
            tag,
            lambda: self._run("irecv", lambda: self._probe(source, call)) is not None,
            lambda: self._run("irecv", lambda: self._receive(source, call)),
        )

    def iprobe(self, source: int | None = None, tag: int = 0) -> int | None:
        """Return a rank whose message with this tag has come, None if none has; never waits.

        `recv(rank, tag)` then returns it without waiting for the sender. Cheap: one poll of the
        links' sockets; what else came is put aside for its own call. With several senders
        they take turns. A message for which an `irecv` was begun counts until that is over.

        Args:
            source: the only rank that counts; None for all, this one included.
            tag: the only tag that counts.

        Raises:
            ValueError: no such rank or tag.
            FmiError: the job failed.
        """
        call = self._message(self.rank if source is None else source, tag)
        return self._run("iprobe", lambda: self._probe(source, call))

    def _probe(self, source: int | None, call: Envelope) -> int | None:
        if source in (None, self.rank) and self._own.arrived(call, None) is not None:
            return self.rank
        if source == self.rank:
            return None
        return self._channel.arrived(call, None if source is None else [source])

    def _receive(self, source: int, call: Envelope) -> Any:
        return codec.decode(self._to(source).receive(self._place(source), call))
