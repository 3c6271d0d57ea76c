"""What the console answers, by path."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from cosmic.client.executions import cancel
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.errors import CosmicError, InputError
from cosmic.storage.aws_errors import translated
from cosmic_local.console.described import downloads
from cosmic_local.console.logs import logs_of
from cosmic_local.console.runs import RunList
from cosmic_local.state import StackInfo

OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox"
)
HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
STATIC = {
    "/": ("console.html", HTML),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
}


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        body: Its bytes, or what they are read from.
        content_type: Of the body.
        policy: The content security policy.
        file_name: Under which a browser saves it; empty: it shows it.
        size: Bytes of a body that is read from somewhere.
    """

    body: bytes | Any
    content_type: str
    policy: str = OWN_POLICY
    status: HTTPStatus = HTTPStatus.OK
    file_name: str = ""
    size: int = 0

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.size

    def open(self) -> AbstractContextManager[Any]:
        """The body as something that is read and closed."""
        return io.BytesIO(self.body) if isinstance(self.body, bytes) else closing(self.body)


class Answers:
    """Answers of one stack.

    Args:
        info: The stack.
        clients: Gives a boto3 client of a service.
        folder: Where the functions' logs are; None: nowhere.
    """

    def __init__(self, info: StackInfo, clients: Callable[[str], Any], folder: Path | None) -> None:
        bucket = info.outputs.get("DataBucketName", "")
        prefixes = tuple(p for p in info.outputs.get("OutputPrefixes", "").split(",") if p)
        self._clients, self._info, self._folder = clients, info, folder
        self._runs = RunList(clients, bucket, prefixes, info.outputs.get("PipelineArn", ""))
        self._of_run: dict[str, Callable[[RunFolder], Answer | None]] = {
            "/report/": self._report,
            "/logs/": self._logs,
        }

    def find(self, path: str, query: dict[str, str]) -> Answer | None:
        """The page and its parts, `/api/runs`, `/report/RUN`, `/logs/RUN`, `/file/RUN/NAME`."""
        if path in STATIC:
            name, content_type = STATIC[path]
            return Answer((files(__package__) / "static" / name).read_bytes(), content_type)
        if path == "/api/runs":
            first = query.get("first", "0")
            found = self._runs.page(int(first) if first.isdecimal() else 0)
            return as_json({"stack": self._info.stack, **found})
        for beginning, answer in self._of_run.items():
            if path.startswith(beginning):
                folder = self._runs.folder(path.removeprefix(beginning))
                return answer(folder) if folder else None
        if path.startswith("/file/"):
            return self._file(*path.removeprefix("/file/").rpartition("/")[::2])
        return None

    def act(self, path: str) -> Answer | None:
        """`/cancel/RUN`: stop a run; None where there is none."""
        folder = self._runs.folder(path.removeprefix("/cancel/"))
        if not path.startswith("/cancel/") or folder is None:
            return None
        status = self._runs.status(folder)
        if status is None:
            return None
        stack = Stack(self._clients, self._info.outputs, 0.2, ("--local",))
        try:
            return as_json({"stopped": cancel(stack, folder, status)}, HTTPStatus.ACCEPTED)
        except CosmicError as error:
            return as_json({"message": error.message, "hint": error.hint}, HTTPStatus.CONFLICT)

    def _report(self, folder: RunFolder) -> Answer | None:
        try:
            return Answer(self._runs.store.get(folder.report), HTML, REPORT_POLICY)
        except InputError:
            return None

    def _logs(self, folder: RunFolder) -> Answer | None:
        if self._folder is None:
            return None
        text = logs_of(self._folder, folder.run) or b"No function has logged anything of this run."
        return Answer(text, TEXT)

    def _file(self, path: str, name: str) -> Answer | None:
        """One of the files that a run's status names, as it comes from S3."""
        folder = self._runs.folder(path)
        status = self._runs.status(folder) if folder else None
        if folder is None or status is None or name not in downloads(status):
            return None
        at = folder.at(name)
        try:
            with translated(at.uri):
                found = self._clients("s3").get_object(Bucket=at.bucket, Key=at.key)
        except InputError:
            return None
        kind = "application/octet-stream"
        return Answer(found["Body"], kind, file_name=name, size=found["ContentLength"])


def as_json(found: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(found).encode(), "application/json", status=status)
