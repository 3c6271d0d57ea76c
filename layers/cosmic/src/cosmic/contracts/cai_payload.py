"""CAI's payload: the document that its users start a run with, read as a manifest.

Cloud-based Astronomy Inference (arXiv 2501.06249) hands it to its state machine. Numbers may come
as text there. What it would do with `script`, fetch code from a bucket and run it, is not done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from cosmic.contracts.layout import no_folder, run_folder_in
from cosmic.contracts.location import check_bucket_name

CHECKPOINT = "Fine_Tune_Model/Mixed_Inception_z_VITAE_Base_Img_Full_New_Full.safetensors"
MARKS = {"data_bucket", "S3_object_name", "file_limit"}
IGNORED = {
    "script": "no code is fetched from a bucket and run",
    "object_type": "no folder is fetched",
    "data_path": "the partitions are those under data_prefix",
    "data_map": "the plan says which rank reads which rows",
    "dynamodb_table": "the plan lies in the run's folder",
}


def _number(value: Any) -> Any:
    """A whole number, also written as text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _path(value: str) -> str:
    if value.startswith(("/", "manifests/")) or "//" in value or "s3:" in value:
        message = "{value} is no folder in a bucket like result/1, or one where manifests are"
        raise PydanticCustomError("result_path", message, {"value": repr(value)})
    if why := no_folder(value):
        text = "{value} {why}"
        raise PydanticCustomError("result_path", text, {"value": repr(value), "why": why})
    run = run_folder_in(value)
    if run:
        message = "{value} lies in {run}/, which has the name of a run's folder"
        raise PydanticCustomError("result_path", message, {"value": repr(value), "run": run})
    return value.rstrip("/")


def _bucket(value: str) -> str:
    try:
        check_bucket_name(value)
    except ValueError as error:
        raise PydanticCustomError("bucket", "{text}", {"text": str(error)}) from error
    return value


Number = Annotated[int, BeforeValidator(_number)]
Bucket = Annotated[str, AfterValidator(_bucket)]
ResultPath = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_path)]


class Payload(BaseModel):
    """CAI's payload, every field under its own name."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    bucket: Bucket
    S3_object_name: str
    file_limit: Annotated[Number, Field(ge=1)]
    batch_size: Annotated[Number, Field(ge=1, le=4096)]
    result_path: ResultPath
    data_bucket: Bucket
    data_prefix: str
    world_size: Annotated[Number, Field(ge=1, le=10_000)] | None = None
    script: Any = None
    object_type: Any = None
    data_path: Any = None
    data_map: Any = None
    dynamodb_table: Any = None


def is_payload(document: Mapping[str, Any]) -> bool:
    """Whether a document is CAI's payload rather than a manifest."""
    return "version" not in document and len(MARKS & document.keys()) >= 2


def as_manifest(payload: Payload) -> dict[str, Any]:
    """The manifest that says the same.

    The first `file_limit` partitions as S3 lists them are taken, so the same as CAI takes, and
    `world_size` is their number unless given. The checkpoint is the converted one beside the one
    that CAI loads.
    """
    folder = payload.S3_object_name.strip("/")
    return {
        "version": 1,
        "job": job_of(payload.result_path),
        "model": {"uri": f"s3://{payload.bucket}/{folder}/{CHECKPOINT}"},
        "data": {
            "uri": f"s3://{payload.data_bucket}/{payload.data_prefix}",
            "format": "pt",
            "first_listed": payload.file_limit,
        },
        "inference": {
            "batch_size": payload.batch_size,
            "world_size": payload.world_size or payload.file_limit,
        },
        "output": {"cai_result_path": payload.result_path},
    }


def job_of(result_path: str) -> str:
    """A job's name made of where CAI would put the results."""
    return re.sub(r"[^a-z0-9]+", "-", result_path.lower()).strip("-")[:60].strip("-") or "cai"


def ignored(document: Mapping[str, Any]) -> tuple[str, ...]:
    """A warning for each field that has no effect here."""
    return tuple(f"{name} is ignored: {why}" for name, why in IGNORED.items() if name in document)
