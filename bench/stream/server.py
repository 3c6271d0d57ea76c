"""An object server as slow as a network: `-m bench.stream.server FOLDER MB_PER_S LATENCY_MS`.

The part of S3's interface that a rank uses (GET of ranges with If-Match, HEAD, PUT) over a folder.
All replies together get the given rate, as a function's network does, and each begins late by the
given latency. It is a process of its own, so that it takes no time from the rank's interpreter.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

STEP_BYTES = 64 << 10


class Rate:
    """Shares out a rate: who wants to send waits for its turn."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0
        self._lock = Lock()

    def take(self, size: int) -> None:
        """Return when these bytes may go."""
        with self._lock:
            begins = max(self._free_at, time.monotonic())
            self._free_at = begins + size / self._bytes_per_s
            wait_s = self._free_at - time.monotonic()
        time.sleep(max(0.0, wait_s))


class Server(ThreadingHTTPServer):
    """Serves a folder at a rate."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, bytes_per_s: float, latency_s: float) -> None:
        self.folder, self.rate, self.latency_s = folder, Rate(bytes_per_s), latency_s
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_PUT(self) -> None:
        """Store an object."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self._answer(200, {"ETag": self._etag(path), "Content-Length": "0"})

    def do_HEAD(self) -> None:
        """Size and ETag."""
        path = self._path()
        length = str(path.stat().st_size)
        self._answer(200, {"ETag": self._etag(path), "Content-Length": length})

    def do_GET(self) -> None:
        """An object or a range of it."""
        path = self._path()
        size, etag = path.stat().st_size, self._etag(path)
        if self.headers.get("If-Match", etag) != etag:
            self._answer(412, {"Content-Length": "0"})
            return
        first, last, status = 0, size - 1, 200
        headers = {"ETag": etag}
        if asked := self.headers.get("Range"):
            first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._answer(status, {**headers, "Content-Length": str(last + 1 - first)})
        with path.open("rb") as file:
            file.seek(first)
            left = last + 1 - first
            while left:
                step = file.read(min(STEP_BYTES, left))
                self.server.rate.take(len(step))
                self.wfile.write(step)
                left -= len(step)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _path(self) -> Path:
        return self.server.folder / self.path.partition("?")[0].lstrip("/")

    @staticmethod
    def _etag(path: Path) -> str:
        status = path.stat()
        return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        time.sleep(self.server.latency_s)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()


def main() -> None:
    """Serve until killed; the first line printed is the port."""
    folder, mb_per_s, latency_ms = sys.argv[1:]
    server = Server(Path(folder), float(mb_per_s) * 1e6, float(latency_ms) / 1e3)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
