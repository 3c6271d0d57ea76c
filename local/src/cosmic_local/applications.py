"""What stands before the emulator's application: a guard, and addresses that moto lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cosmic_local.api_call_log import ApiCallLog
from cosmic_local.emulator import account_settings
from cosmic_local.guard import refusal
from cosmic_local.lambda_pool.pool import Pool


class Guarded:
    """An application that only programs on this machine, and its containers, may speak to."""

    def __init__(self, app: Any, port: int, bound: str) -> None:
        self._app, self._port, self._bound = app, port, bound

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request, or refuse a foreign one."""

        def header(name: str) -> str | None:
            return environ.get(f"HTTP_{name.upper().replace('-', '_')}")

        refused = refusal(header, self._port, self._bound)
        if refused is None:
            return self._app(environ, start_response)
        start_response(f"{refused.value} {refused.phrase}", [("Content-Length", "0")])
        return []


class Control:
    """The emulator's application, with four more addresses.

    They are what is running now, what was refused, which calls were made, and Lambda's
    `GetAccountSettings`, which moto lacks.
    """

    def __init__(self, app: Any, pool: Pool, concurrency: int) -> None:
        self._app = app
        self._calls = ApiCallLog()
        self._answers: dict[str, Callable[[], Any]] = {
            "/_cosmic/running": pool.running,
            "/_cosmic/throttles": pool.throttles,
            "/_cosmic/calls": self._calls.seen,
            "/2016-08-19/account-settings": lambda: account_settings(pool, concurrency),
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request."""
        self._calls.note(environ)
        answer = self._answers.get(environ.get("PATH_INFO", "").rstrip("/"))
        if answer is None:
            return self._app(environ, start_response)
        body = json.dumps(answer()).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]
