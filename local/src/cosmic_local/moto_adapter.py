"""What is replaced in moto, and why; beside `moto_memory`, all that knows moto from inside.

Tested against moto 5.2 and refused with any other. moto answers S3, Step Functions, IAM and the
Lambda API over HTTP; this module has it run functions in processes, and mends where its Step
Functions or S3 differ from AWS in a way that Cosmic would notice:

- Lambda `Invoke`, synchronous and not, goes to the pool (moto would start a container).
- S3 notifications are delivered asynchronously, with version id and sequencer.
- Objects lie in files that are open only while they are used, and a listing of versions copies none
  of their bytes (moto holds them in memory or open, and copies all of the bucket for each page).
- A ranged read reads that range (moto reads and copies the whole object for each).
- A conditional put is atomic (moto looks and writes without a lock between).
- A Lambda task of a state machine goes to the pool directly, with the execution it belongs to.
- A state machine can put a JSON object into S3 (moto hands it to boto3 as it is).
- `StopExecution` ends the execution at once, kills its invocations and has EventBridge's notice
  delivered. (On AWS a function that is already running would run on, unseen, until its own
  time-out.)
- A Distributed Map with more failures than tolerated fails (moto has it succeed).
- `DescribeExecution` of one that timed out says when.
- An execution without a name gets one; a name that AWS would refuse is refused.
- What is deleted or written over is forgotten (for a dashboard, moto keeps
  every object that it has ever made); so is the interpreter of an execution that has ended.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import itertools
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Protocol, cast
from unittest import mock
from urllib.parse import quote_plus

import moto
from botocore.exceptions import ClientError
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.core.common_models import BaseModel
from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.s3 import models as s3_models
from moto.s3 import notifications
from moto.s3.models import FakeKey
from moto.s3.responses import S3Response
from moto.stepfunctions.exceptions import InvalidName
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    distributed_iteration_component as distributed,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk as aws_sdk,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment as Frame
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
)
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from cosmic.errors import CosmicError
from cosmic_local.errors import PayloadTooLarge, StackError, Throttled, UnknownFunction
from cosmic_local.lambda_pool.function import VERSION
from cosmic_local.lambda_pool.invocation import Kind, Origin
from cosmic_local.lambda_pool.invocation_log import utc
from cosmic_local.lambda_pool.pool import Served
from cosmic_local.moto_ended import EndedExecutions
from cosmic_local.object_bytes import ObjectBytes
from cosmic_local.template.event_rules import execution_notice

SUPPORTED = "5.2."
EXECUTION_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
START_WAIT_S = 2.0


class Functions(Protocol):
    """What moto needs of whatever runs the functions."""

    def call(self, function: str, payload: bytes, origin: Origin) -> Served:
        """Run a function to its end."""

    def submit(self, function: str, payload: bytes, source: str) -> str:
        """Accept an event; the request id."""

    def stop_execution(self, execution: str) -> int:
        """Kill the invocations of an execution."""

    def notice(self, event: dict[str, Any]) -> None:
        """Deliver an event to the functions whose rules it matches."""


@contextlib.contextmanager
def adapted(functions: Functions) -> Iterator[None]:
    """Have moto, in this process, run its functions elsewhere, until the block ends.

    Raises:
        StackError: this is not the moto that the adapter was written for.
    """
    if not moto.__version__.startswith(SUPPORTED):
        raise StackError(
            f"moto is {moto.__version__}; the adapter is written for {SUPPORTED}*",
            hint="install the version that cosmic-local asks for",
        )
    with contextlib.ExitStack() as stack:
        for target, name, replacement in _replacements(functions):
            if not hasattr(target, name):
                raise StackError(f"moto {moto.__version__} has no {target.__name__}.{name}")
            stack.enter_context(mock.patch.object(target, name, replacement))
        stack.enter_context(
            mock.patch.dict(default_user_config["stepfunctions"], {"execute_state_machine": True})
        )
        yield


def _replacements(functions: Functions) -> list[tuple[Any, str, Any]]:
    return [
        (BaseModel, "__new__", staticmethod(_untracked)),
        (LambdaFunction, "invoke", _invoke_api(functions)),
        (notifications, "_invoke_awslambda", _notify(functions)),
        (notifications, "_get_s3_event", s3_event),
        (S3Response, "get_object", _get_object(S3Response.get_object)),
        (FakeKey, "value", _value(FakeKey.value)),
        (s3_models, "tempfile", SimpleNamespace(SpooledTemporaryFile=ObjectBytes)),
        (s3_models, "copy", SimpleNamespace(copy=copy.copy, deepcopy=_listed)),
        (S3Response, "put_object", _put_object(S3Response.put_object)),
        (lambda_eval_utils, "execute_lambda_function_integration", _lambda_task(functions)),
        (Execution, "stop", _stop(functions, Execution.stop)),
        (StepFunctionResponse, "stop_execution", _stop_with_cause),
        (
            StepFunctionResponse,
            "describe_execution",
            _describe_execution(StepFunctionResponse.describe_execution),
        ),
        (
            BaseExecutionWorkerCommunication,
            "terminated",
            _terminated(functions, BaseExecutionWorkerCommunication.terminated),
        ),
        (aws_sdk.StateTaskServiceAwsSdk, "_normalise_parameters", _json_body),
        (Frame, "set_error", _set_error(Frame.set_error)),
        (
            distributed.DistributedIterationComponent,
            "_map_run",
            _map_run(distributed.DistributedIterationComponent._map_run),
        ),
        (
            StepFunctionsParserBackend,
            "start_execution",
            _start_execution(StepFunctionsParserBackend.start_execution),
        ),
    ]


def _untracked(cls: type, *_args: Any, **_more: Any) -> Any:
    return object.__new__(cls)


# Lambda


class _ApiError(LambdaClientError):
    def __init__(self, status: int, code: str, message: str, **more: str) -> None:
        super().__init__(code, message)
        self.code = status
        self.description = json.dumps({"__type": code, "message": message, **more})


def _invoke_api(functions: Functions) -> Callable[..., str | bytes]:
    def invoke(
        self: Any, body: str | bytes, request_headers: Any, response_headers: Any
    ) -> str | bytes:
        payload = body.encode() if isinstance(body, str) else body or b"{}"
        kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
        response_headers["x-amz-executed-version"] = VERSION
        try:
            if kind == "DryRun":
                return ""
            if kind == "Event":
                functions.submit(self.function_name, payload, "invoke")
                return ""
            served = functions.call(self.function_name, payload, Origin("invoke"))
        except CosmicError as error:
            status, code = api_error(error)
            reason = {"Reason": error.reason} if isinstance(error, Throttled) else {}
            raise _ApiError(status, code, error.message, **reason) from error
        response_headers["x-amz-log-result"] = base64.b64encode(served.log_tail).decode()
        if served.outcome.kind is not Kind.OK:
            response_headers["x-amz-function-error"] = "Unhandled"
        return served.outcome.payload

    return invoke


def api_error(error: CosmicError) -> tuple[int, str]:
    """HTTP status and name under which the Lambda API reports an error."""
    if isinstance(error, Throttled):
        return 429, "TooManyRequestsException"
    if isinstance(error, UnknownFunction):
        return 404, "ResourceNotFoundException"
    if isinstance(error, PayloadTooLarge):
        return 413, "RequestTooLargeException"
    return 500, "ServiceException"


# S3

_sequence = itertools.count(time.time_ns())


def s3_event(event_name: str, bucket: Any, key: Any, notification_id: str) -> dict[str, Any]:
    """A notification as S3 sends it, whole."""
    stored = {
        "key": quote_plus(key.name, safe="/"),
        "size": key.size,
        "eTag": key.etag.replace('"', ""),
        "sequencer": f"{next(_sequence):018X}",
    }
    if bucket.is_versioned:
        stored["versionId"] = key.version_id
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region_name,
        "eventTime": utc(time.time()).replace("+00:00", "Z"),
        "eventName": str(getattr(event_name, "value", event_name)).removeprefix("s3:"),
        "userIdentity": {"principalId": "AWS:LOCAL"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {
            "x-amz-request-id": uuid.uuid4().hex[:16].upper(),
            "x-amz-id-2": uuid.uuid4().hex,
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": notification_id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": "LOCAL"},
                "arn": bucket.arn,
            },
            "object": stored,
        },
    }
    return {"Records": [record]}


def _notify(functions: Functions) -> Callable[..., None]:
    def invoke(account_id: str, event_body: Any, fn_arn: str, region_name: str) -> None:
        with contextlib.suppress(UnknownFunction):
            functions.submit(fn_arn, json.dumps(event_body).encode(), "s3")

    return invoke


_conditional = threading.Lock()


_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_asked = threading.local()


def _listed(versions: list[Any]) -> list[Any]:
    """An object's versions for a listing, which asks for all but their bytes."""
    return [_without_bytes(version) for version in versions]


def _without_bytes(version: Any) -> Any:
    if not isinstance(version, FakeKey):
        return copy.copy(version)
    found = object.__new__(FakeKey)
    found.__dict__.update(version.__dict__, _etag=version.etag.strip('"'), multipart=None)
    found._value_buffer = ObjectBytes()  # type: ignore[assignment]
    found.disposed = True  # there is nothing to dispose of
    return found


class _Stored:
    """An object's bytes, of which only a slice is read."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def __len__(self) -> int:
        return int(self._key.contentsize)

    def __getitem__(self, part: slice) -> bytes:
        with self._key.lock:
            self._key._value_buffer.seek(part.start)
            found: bytes = self._key._value_buffer.read(part.stop - part.start)
        return found


def _get_object(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def get_object(self: Any) -> Any:
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        _asked.part = asked is not None and int(asked[1]) <= int(asked[2])
        try:
            return original(self)
        finally:
            _asked.part = False

    return get_object


def _value(original: Any) -> property:
    def value(self: Any) -> Any:
        return _Stored(self) if getattr(_asked, "part", False) else original.fget(self)

    return property(value, original.fset)


def _put_object(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def put_object(self: Any) -> Any:
        if "If-None-Match" in self.headers or "If-Match" in self.headers:
            with _conditional:
                return original(self)
        return original(self)

    return put_object


# Step Functions


def _lambda_task(functions: Functions) -> Callable[..., None]:
    def execute(env: Any, parameters: dict[str, Any], region: str, state_credentials: Any) -> None:
        execution = env.states.context_object.context_object_data["Execution"]["Id"]
        payload = parameters.get("Payload", b"{}")
        try:
            served = functions.call(
                parameters["FunctionName"], payload, Origin("states", execution)
            )
        except CosmicError as error:
            raise _client_error(error) from error
        document = json.loads(served.outcome.payload or b"null")
        if served.outcome.kind is not Kind.OK:
            text = json.dumps(document, separators=(",", ":"))
            raise lambda_eval_utils.LambdaFunctionErrorException("Unhandled", text)
        env.stack.append({"ExecutedVersion": VERSION, "Payload": document, "StatusCode": 200})

    return execute


def _json_body(
    self: Any,
    parameters: dict[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    body = parameters.get("Body")
    if self.resource.api_name == "s3" and isinstance(body, dict | list):
        parameters["Body"] = json.dumps(body, separators=(",", ":")).encode()


def _client_error(error: CosmicError) -> ClientError:
    status, code = api_error(error)
    metadata = {"HTTPStatusCode": status, "RequestId": str(uuid.uuid4())}
    response = {"Error": {"Code": code, "Message": error.message}, "ResponseMetadata": metadata}
    return ClientError(response, "Invoke")  # type: ignore[arg-type]


def _start_execution(original: Callable[..., Any]) -> Callable[..., Any]:
    def start_execution(
        self: Any, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        name = name or str(uuid.uuid4())
        if not EXECUTION_NAME.fullmatch(name):
            raise InvalidName(f"Invalid Name: '{name}'")
        return original(self, state_machine_arn, name, *args, **kwargs)

    return start_execution


def _stop(functions: Functions, original: Callable[..., None]) -> Callable[..., None]:
    def stop(self: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
        if self.exec_status != ExecutionStatus.RUNNING:
            return
        until = time.monotonic() + START_WAIT_S
        while not _is_interpreted(self) and time.monotonic() < until:
            time.sleep(0.01)
        original(self, stop_date=stop_date, error=error, cause=cause)
        if self.exec_status == ExecutionStatus.RUNNING:
            self.exec_status = ExecutionStatus.ABORTED
            self.stop_date = stop_date
            self.error = error or None
            self.cause = cause or None
        functions.stop_execution(self.exec_arn)
        functions.notice(execution_notice(self.to_describe_output()))

    return stop


def _stop_with_cause(self: Any) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    now = datetime.now(UTC)
    execution.stop(now, self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date or now})


def _describe_execution(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def describe_execution(self: Any) -> Any:
        answer = original(self)
        arn = self._get_param("executionArn")
        stop_date = self.stepfunction_backend.describe_execution(arn).stop_date
        return ActionResult(
            {"stopDate": stop_date, **answer.result} if stop_date else answer.result
        )

    return describe_execution


def _is_interpreted(execution: Any) -> bool:
    frame = execution.exec_worker.env
    ended = execution.exec_status != ExecutionStatus.RUNNING
    return ended or (frame is not None and frame.is_running())


def _terminated(functions: Functions, original: Callable[[Any], None]) -> Callable[[Any], None]:
    over = EndedExecutions()

    def terminated(self: Any) -> None:
        if self.execution.exec_status != ExecutionStatus.ABORTED:
            original(self)
            functions.notice(execution_notice(self.execution.to_describe_output()))
        over.settle(self.execution)

    return terminated


def _set_error(original: Callable[..., None]) -> Callable[..., None]:
    def set_error(self: Any, error: Any) -> None:
        if not isinstance(self._program_state, ProgramStopped):
            original(self, error=error)

    return set_error


def _map_run(original: Callable[..., None]) -> Callable[..., None]:
    def map_run(self: Any, env: Any, eval_input: Any) -> None:
        original(self, env=env, eval_input=eval_input)
        run = eval_input.map_run_record
        counts = run.item_counter
        bad = counts.failed.get() + counts.timed_out.get()
        if env.is_running() and exceeds(
            bad, counts.total.get(), run.tolerated_failure_count, run.tolerated_failure_percentage
        ):
            raise _too_many_failures(env)

    return map_run


def exceeds(failed: int, total: int, tolerated_count: int, tolerated_percent: float) -> bool:
    """Whether a Map Run has more failures than it tolerates; 0 stands for a limit not given."""
    if not failed:
        return False
    limits = []
    if tolerated_count:
        limits.append(failed > tolerated_count)
    if tolerated_percent:
        limits.append(100 * failed / total > tolerated_percent)
    return any(limits) if limits else True


def _too_many_failures(env: Any) -> FailureEventException:
    kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
    details: Any = {
        "error": kind.to_name(),
        "cause": "The specified tolerated failure threshold was exceeded",
    }
    event = FailureEvent(
        env=env,
        error_name=StatesErrorName(typ=kind),
        event_type=HistoryEventType.MapRunFailed,
        event_details=cast(EventDetails, {"mapRunFailedEventDetails": details}),
    )
    return FailureEventException(failure_event=event)
