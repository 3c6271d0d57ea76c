"""What moto holds in memory, written to a folder of data as it changes and read back at the start.

Written are the current version
of each object, and each execution; an upload in parts that is not complete ends with the stack.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from moto.s3.models import FakeKey, S3Backend, s3_backends
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
)
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)

from cosmic_local.durable.documents import EXECUTIONS, Document, Documents
from cosmic_local.durable.folder import DataFolder
from cosmic_local.durable.objects import Description, ObjectFiles, encoded
from cosmic_local.errors import StackError, Stopping
from cosmic_local.moto_records import (
    Replaced,
    blocks,
    described,
    document_of,
    execution_of,
    key_of,
)
from cosmic_local.template.event_rules import execution_notice

PARTITION = "aws"
WRITES = ("PUT", "POST", "DELETE")


class Memory:
    """moto's objects and executions, of which a folder has a copy.

    Objects are written at the end of the request that changed them, before it is answered: then
    all of the object is known, its metadata too, and what was answered is kept.
    """

    def __init__(self, data: DataFolder, account: str, region: str) -> None:
        self._objects = ObjectFiles(data)
        self._executions = Documents(data, EXECUTIONS)
        self._account, self._region = account, region
        self._changed = threading.local()
        self._owed: set[tuple[str, str]] = set()

    @property
    def _s3(self) -> S3Backend:
        return s3_backends[self._account][PARTITION]

    @property
    def _steps(self) -> StepFunctionsParserBackend:
        return stepfunctions_parser_backends[self._account][self._region]

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Notice all changes until the block ends."""
        backend, steps = S3Backend, StepFunctionsParserBackend
        replaced: list[tuple[Any, str, Any]] = [
            (backend, "put_object", self._noting(backend.put_object)),
            (backend, "delete_object", self._noting(backend.delete_object)),
            (steps, "start_execution", self._started(steps.start_execution)),
            (Execution, "stop", self._stopped(Execution.stop)),
            (
                BaseExecutionWorkerCommunication,
                "terminated",
                self._terminated(BaseExecutionWorkerCommunication.terminated),
            ),
        ]
        with contextlib.ExitStack() as stack:
            for target, name, replacement in replaced:
                stack.enter_context(mock.patch.object(target, name, replacement))
            yield

    def save(self) -> None:
        """Write what this thread has changed, and what could not be written before.

        Raises:
            StackError: it can't be written; it is tried again with the next change.
        """
        mine = set(self._noted())
        self._noted().clear()
        self._owed |= mine  # Until it is written; each thread writes its own in any case.
        for bucket, key in mine | set(self._owed):
            self._save(bucket, key)

    def _save(self, bucket: str, key: str) -> None:
        self._owed.discard((bucket, key))
        try:
            while True:
                with contextlib.suppress(Replaced):
                    return self._objects.keep(bucket, key, lambda: self._content(bucket, key))
        except StackError:
            self._owed.add((bucket, key))
            raise

    def restore(self) -> list[Document]:
        """Have moto hold what the folder holds; all resources have been created.

        Returns:
            EventBridge's notices of the executions that ended with an earlier stack.

        Raises:
            DataError: a file is damaged.
        """
        for description, body in self._objects.read():
            self._restore_object(description, body)
        notices = []
        for document in sorted(self._executions.read(), key=lambda found: str(found["start"])):
            execution = self._restored(document)
            if execution is not None and document["status"] == "RUNNING":
                notices.append(execution_notice(execution.to_describe_output()))
        return notices

    def settle(self, notice: Document) -> None:
        """Write an interrupted execution as ended: its notice has been accepted."""
        self._keep(self._steps.describe_execution(notice["detail"]["executionArn"]))

    # Objects

    def _noted(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = self._changed.__dict__.setdefault("keys", set())
        return found

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def change(backend: Any, bucket_name: str, key_name: str, *args: Any, **more: Any) -> Any:
            self._noted().add((bucket_name, key_name))
            return original(backend, bucket_name, key_name, *args, **more)

        return change

    def _content(self, bucket: str, name: str) -> Iterator[bytes] | None:
        found = self._s3.buckets.get(bucket)
        key = found.keys.get(name) if found is not None else None
        return encoded(described(bucket, key), blocks(key)) if isinstance(key, FakeKey) else None

    def _restore_object(self, found: Description, body: bytes) -> None:
        if found.bucket not in self._s3.buckets:
            self._s3.create_bucket(found.bucket, self._region)
        key = key_of(found, body, self._account, self._region)
        self._s3.buckets[found.bucket].keys.setlist(found.key, [key])

    # Executions

    def _keep(self, execution: Any) -> None:
        """Write an execution as it is now; what the end of the stack makes of it is not kept."""
        with contextlib.suppress(Stopping):
            self._executions.keep(execution.exec_arn, lambda: document_of(execution))

    def _started(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def start_execution(*args: Any, **more: Any) -> Any:
            execution = original(*args, **more)
            self._keep(execution)
            return execution

        return start_execution

    def _stopped(self, original: Callable[..., None]) -> Callable[..., None]:
        def stop(execution: Any, *args: Any, **more: Any) -> None:
            original(execution, *args, **more)
            self._keep(execution)

        return stop

    def _terminated(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        def terminated(worker: Any) -> None:
            original(worker)
            self._keep(worker.execution)

        return terminated

    def _restored(self, document: Document) -> Any:
        """The execution of a document, ended; None if its state machine is no longer."""
        machines = {machine.arn: machine for machine in self._steps.state_machines}
        machine: Any = machines.get(document["state_machine"])
        if machine is None:
            return None
        execution = execution_of(document, machine, self._account, self._region)
        machine.executions.append(execution)
        return execution


class Saving:
    """An application whose answers are sent once what they changed is written."""

    def __init__(self, app: Any, memory: Memory) -> None:
        self._app, self._memory = app, memory

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request."""
        if environ.get("REQUEST_METHOD") not in WRITES:
            return self._app(environ, start_response)
        answer: list[Any] = []
        body = self._app(environ, lambda *parts: answer.append(parts))
        try:
            self._memory.save()
        except StackError as error:
            return _refused(error, start_response)
        start_response(*answer[-1])
        return body


def _refused(error: StackError, start_response: Any) -> list[bytes]:
    stopping = isinstance(error, Stopping)
    status, code = (503, "ServiceUnavailable") if stopping else (500, "InternalError")
    text = f"<Error><Code>{code}</Code><Message>{error.message}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))]
    start_response(f"{status} {code}", headers)
    return [text]
