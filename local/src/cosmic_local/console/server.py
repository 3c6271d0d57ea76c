"""The console's server: loopback only, GET only, for as long as the stack lives."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cosmic.storage.objects import Store
from cosmic_local.console.runs import list_runs, report_of
from cosmic_local.guard import refusal
from cosmic_local.state import StackInfo

HOST = "127.0.0.1"
OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox"
)
STATIC = {
    "/": ("console.html", "text/html; charset=utf-8"),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
}


class Answer(NamedTuple):
    """A body with its type and content security policy."""

    body: bytes
    content_type: str
    policy: str = OWN_POLICY


Find = Callable[[str], Answer | None]


@contextmanager
def console(info: StackInfo, clients: Callable[[str], Any]) -> Iterator[str]:
    """Serve the console of a stack; gives its address."""
    server = ThreadingHTTPServer((HOST, 0), _handler(finder(info, clients)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def finder(info: StackInfo, clients: Callable[[str], Any]) -> Find:
    """Answers by path: the page, its parts, `/api/runs` and `/report/<prefix><run>`."""
    bucket = info.outputs.get("DataBucketName", "")
    prefixes = tuple(p for p in info.outputs.get("OutputPrefixes", "").split(",") if p)
    store = Store(clients("s3"))

    def find(path: str) -> Answer | None:
        if path in STATIC:
            name, content_type = STATIC[path]
            return Answer((files(__package__) / "static" / name).read_bytes(), content_type)
        if path == "/api/runs":
            runs = list_runs(clients("s3"), store, bucket, prefixes)
            return Answer(
                json.dumps({"stack": info.stack, "runs": runs}).encode(), "application/json"
            )
        if path.startswith("/report/"):
            report = report_of(store, bucket, prefixes, path.removeprefix("/report/"))
            return (report and Answer(report, "text/html; charset=utf-8", REPORT_POLICY)) or None
        return None

    return find


def _handler(find: Find) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "cosmic"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer, if it was asked for by this server's own name: no other site's page may."""
            port = self.connection.getsockname()[1]
            refused = refusal(self.headers.get, port, linked=True)
            if refused is not None:
                self.send_error(refused, "this is not your host")
                return
            answer = find(unquote(urlsplit(self.path).path))
            if answer is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Content-Security-Policy", answer.policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the page asks every second."""

    return Handler
