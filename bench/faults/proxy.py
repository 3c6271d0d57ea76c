"""A proxy between functions and S3 that answers some requests wrongly."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

REFUSALS = {"503": "SlowDown", "500": "InternalError"}
ON_ITS_WAY = ("503", "500", "reset before", "reset after", "truncated")
BIT_FLIP = "bit flip"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host"}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing resets the connection
UPSTREAM_S = 30


class Reply(NamedTuple):
    """What S3 answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class FaultyS3(ThreadingHTTPServer):
    """Passes requests on to S3, and spoils a share of them.

    Attributes:
        caused: How often each fault was caused, by its name.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = ""
        self.caused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._draw = random.Random(0)  # noqa: S311
        self._kinds: tuple[str, ...] = ()
        self._share = 0.0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def spoiling(self, seed: int, kinds: tuple[str, ...], share: float) -> Iterator[None]:
        """Spoil a share of all requests while the block lasts."""
        with self._lock:
            self._draw = random.Random(seed)  # noqa: S311
            self._kinds, self._share = kinds, share
        try:
            yield
        finally:
            with self._lock:
                self._share = 0.0

    def draw(self) -> tuple[str, float]:
        """The fault of the next request, if any, and where in its body it is."""
        with self._lock:
            if self._draw.random() >= self._share:
                return "", 0.0
            return self._draw.choice(self._kinds), self._draw.random()

    def count(self, kind: str) -> None:
        """A fault was caused."""
        with self._lock:
            self.caused[kind] += 1

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that are killed leave broken connections."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a function."""

    protocol_version = "HTTP/1.1"
    server: FaultyS3
    timeout = UPSTREAM_S

    def _serve(self) -> None:
        kind, where = self.server.draw()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if kind in REFUSALS:
            self.server.count(kind)
            self._answer(_refusal(kind))
        elif kind == "reset before":
            self._reset(kind)
        else:
            self._pass_on(body, kind, where)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815

    def _pass_on(self, body: bytes, kind: str, where: float) -> None:
        try:
            reply = self._ask(body)
        except (OSError, HTTPException):
            self._reset("")
            return
        if kind == "reset after":
            self._reset(kind)
        elif kind == "truncated" and len(reply.body) > 1:
            self.server.count(kind)
            self._answer(reply, sent=max(1, int(where * len(reply.body))))
            self._reset("")
        elif kind == BIT_FLIP and self.command == "GET" and reply.body and reply.status < 300:
            self.server.count(kind)
            self._answer(reply._replace(body=_flipped(reply.body, where)))
        else:
            self._answer(reply)

    def _ask(self, body: bytes) -> Reply:
        host = self.server.upstream.removeprefix("http://")
        upstream = HTTPConnection(host, timeout=UPSTREAM_S)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        headers.pop("Expect", None)
        try:
            upstream.request(self.command, self.path, body or None, {**headers, "Host": host})
            got = upstream.getresponse()
            kept = [(k, v) for k, v in got.getheaders() if k.lower() not in HOP_BY_HOP]
            length = got.getheader("Content-Length") if self.command == "HEAD" else None
            found = got.read()
            kept.append(("Content-Length", length or str(len(found))))
            return Reply(got.status, kept, found)
        finally:
            upstream.close()

    def _answer(self, reply: Reply, sent: int | None = None) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[:sent])

    def _reset(self, kind: str) -> None:
        """End the connection without an answer, or in the middle of one."""
        if kind:
            self.server.count(kind)
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.connection.shutdown(socket.SHUT_RD)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _refusal(kind: str) -> Reply:
    text = f"<Error><Code>{REFUSALS[kind]}</Code><Message>on purpose</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))]
    return Reply(int(kind), headers, text)


def _flipped(body: bytes, where: float) -> bytes:
    spoilt = bytearray(body)
    bit = int(where * 8 * len(spoilt))
    spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)


@contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """The proxy, listening; it passes on nothing before it has an `upstream`."""
    server = FaultyS3()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
