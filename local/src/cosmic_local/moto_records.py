"""moto's objects and executions as what is written of them, and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.s3.models import FakeKey
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution

from cosmic_local.durable.documents import Document
from cosmic_local.durable.objects import Description
from cosmic_local.moto_ended import ended

BLOCK = 1 << 20
INTERRUPTED = {"error": "Interrupted", "cause": "the local stack was stopped"}


class Replaced(Exception):  # noqa: N818
    """An object was replaced while it was read; moto has thrown its bytes away."""


def described(bucket: str, key: Any) -> Description:
    """What an object is beside its bytes."""
    return Description(
        bucket=bucket,
        key=key.name,
        size=key.contentsize,
        etag=key.etag.strip('"'),
        version_id=key.version_id,
        versioned=key._is_versioned,
        modified=key.last_modified.isoformat(),
        storage_class=key._storage_class,
        metadata={str(name): str(value) for name, value in key.metadata.items()},
        encryption=key.encryption,
        kms_key_id=key.kms_key_id,
        checksum_algorithm=key.checksum_algorithm,
        checksum_value=_text(key.checksum_value),
        checksum_type=key.checksum_type,
        checksum_parts=key.checksum_parts,
    )


def key_of(found: Description, body: bytes, account: str, region: str) -> FakeKey:
    """An object that was described so."""
    key = FakeKey(
        name=found.key,
        value=body,
        account_id=account,
        region_name=region,
        storage=found.storage_class,
        etag=found.etag,
        is_versioned=found.versioned,
        version_id=found.version_id,
        bucket_name=found.bucket,
        encryption=found.encryption,
        kms_key_id=found.kms_key_id,
        checksum_value=found.checksum_value,
        checksum_type=found.checksum_type,
        checksum_parts=found.checksum_parts,
    )
    key.checksum_algorithm = found.checksum_algorithm
    key.last_modified = datetime.fromisoformat(found.modified)
    key.metadata.update(found.metadata)
    return key


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def blocks(key: Any) -> Iterator[bytes]:
    """An object's bytes.

    Raises:
        Replaced: they are no longer there.
    """
    for start in range(0, key.contentsize, BLOCK):
        try:
            with key.lock:
                key._value_buffer.seek(start)
                block: bytes = key._value_buffer.read(min(BLOCK, key.contentsize - start))
        except ValueError as error:
            raise Replaced from error
        yield block


def document_of(execution: Any) -> Document:
    """An execution as it is now."""
    stop = execution.stop_date
    return {
        "execution": execution.exec_arn,
        "name": execution.name,
        "state_machine": execution.state_machine.arn,
        "input": execution.execution_input,
        "start": execution.start_date.isoformat(),
        "stop": stop.isoformat() if stop else None,
        "status": execution.status if stop else ExecutionStatus.RUNNING.value,
        "output": execution.output,
        "error": execution.error,
        "cause": execution.cause,
    }


def execution_of(document: Document, machine: Any, account: str, region: str) -> Any:
    """The execution of a document; one that had not ended was interrupted."""
    execution = Execution(
        name=document["name"],
        sm_type=machine.sm_type,
        role_arn=machine.roleArn,
        exec_arn=document["execution"],
        account_id=account,
        region_name=region,
        state_machine=machine,
        start_date=datetime.fromisoformat(document["start"]),
        cloud_watch_logging_session=None,
        activity_store={},
        input_data=document["input"],
    )
    _end(execution, document)
    return execution


def _end(execution: Any, document: Document) -> None:
    interrupted = document["status"] == "RUNNING"
    told = {**document, **INTERRUPTED, "status": "ABORTED"} if interrupted else document
    stop = datetime.now(UTC) if interrupted else datetime.fromisoformat(document["stop"])
    execution.exec_status = ExecutionStatus(told["status"])
    execution.stop_date = stop
    for name in ("output", "error", "cause"):
        setattr(execution, name, told[name])
    execution.exec_worker = ended()  # Who asks for its Map Runs or its history gets none.
