"""The console's server: loopback only, for its own page only, for as long as the stack lives."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cosmic_local.console.answers import Answer, Answers
from cosmic_local.guard import refusal
from cosmic_local.state import StackInfo

HOST = "127.0.0.1"


@contextmanager
def console(
    info: StackInfo, clients: Callable[[str], Any], folder: Path | None = None
) -> Iterator[str]:
    """Serve the console of a stack; gives its address.

    Args:
        info: The stack.
        clients: Gives a boto3 client of a service.
        folder: Where the functions' logs are; None: nowhere.
    """
    server = ThreadingHTTPServer((HOST, 0), _handler(Answers(info, clients, folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "cosmic"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer, if it was asked for by this server's own name: no other site's page may."""
            if self._is_own(linked=True):
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query).items()}
                self._send(answers.find(unquote(address.path), query))

        def do_POST(self) -> None:
            """Act, for this server's own page alone: a browser says in each POST whose it is."""
            if not self.headers.get("Origin"):
                self.send_error(HTTPStatus.FORBIDDEN, "this is for the console's own page")
            elif self._is_own(linked=False):
                self._send(answers.act(unquote(urlsplit(self.path).path)))

        def _is_own(self, *, linked: bool) -> bool:
            port = self.connection.getsockname()[1]
            refused = refusal(self.headers.get, port, linked=linked)
            if refused is not None:
                self.send_error(refused, "this is not your host")
            return refused is None

        def _send(self, answer: Answer | None) -> None:
            if answer is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(answer.length))
            if answer.file_name:
                disposition = f'attachment; filename="{answer.file_name}"'
                self.send_header("Content-Disposition", disposition)
            self.send_header("Content-Security-Policy", answer.policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            with answer.open() as source:
                shutil.copyfileobj(source, self.wfile)

        def log_message(self, *_: object) -> None:
            """Say nothing: the page asks every second."""

    return Handler
