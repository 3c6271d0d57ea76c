"""From files to a data set in a deployment's bucket, with the manifest that runs a model on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cosmic.client.deployment import Deployment
from cosmic.contracts.layout import job_from_key
from cosmic.contracts.manifest import check_manifest
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.opening import suffix_of
from cosmic.data.pack.pack import Packed
from cosmic.errors import InputError
from cosmic.storage.objects import Store, s3_client
from cosmic.workstation.data_folder import DataFolder, ModelToPut
from cosmic.workstation.job import Given
from cosmic.workstation.ready import PARTITION_BYTES, ready_partitions
from cosmic.workstation.shipped_model import SHIPPED
from cosmic.workstation.sources import find_files
from cosmic.workstation.step import Step
from cosmic.workstation.work_folder import begun, work_folder

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

WORK = Path(".cosmic/put")


@dataclass(frozen=True)
class PutData:
    """A data set that is in a bucket.

    Attributes:
        manifest: The manifest's file.
        uri: The data set's folder.
        model: The checkpoint's URI.
        partitions, rows: Of the data set.
        uploaded: Partitions that this call uploaded; the others were there already.
        packed: What was taken for what; None: the files were partitions, or had been packed by an
            earlier call.
        warnings: What the user should know about the files.
    """

    manifest: Path
    uri: str
    model: str
    partitions: int
    rows: int
    uploaded: int
    packed: Packed | None
    warnings: tuple[str, ...]


def put_data(
    deployment: Deployment,
    files: Path | str | Sequence[Path | str],
    *,
    name: str = "",
    model: Path | str = SHIPPED,
    manifest: Path | str | None = None,
    world_size: int | None = None,
    choices: Choices | None = None,
    check_pixels: bool = True,
    partition_bytes: int = PARTITION_BYTES,
    work: Path | str = WORK,
    client: S3Client | None = None,
    progress: Callable[[Step], None] = lambda step: None,
) -> PutData:
    """Pack files, upload them to a deployment's bucket, and write a manifest for them.

    If a call is stopped, repeat it with the same arguments: partitions that are in the bucket with
    the right checksum are not uploaded again. Other data in their place are never overwritten.

    Args:
        deployment: Where to upload to.
        files: As for `predict`.
        name: Of the data set, `data/NAME/` in the bucket, and of the job; empty: the first file's.
        model: A checkpoint's file, which is uploaded, or its `s3://` URI.
        manifest: The file to write; None: `NAME.json` here.
        world_size: Number of ranks; None: a number that suits the rows.
        choices: What the files don't say; the bands that are taken are those of a model on this
            machine, else u, g, r, i and z if nothing else is said.
        check_pixels: Whether files are refused whose pixels and magnitudes disagree.
        partition_bytes: Size of a partition.
        work: Folder for partitions that are packed but not uploaded yet.
        client: The S3 client to ask for files in S3; None: one by the environment's credentials.
        progress: Called again and again.

    Raises:
        InvalidInput: the files have problems, or differ from those of the call that was
            stopped; lists all of them.
        InputError: there are other data of this name, another file is in the manifest's place, or
            the bucket can't be written.
        TransientError: S3 failed; the same call continues.
    """
    store = cache(lambda: Store(client or s3_client()))
    listed = [files] if isinstance(files, Path | str) else files
    of = ModelToPut.of(model, deployment.bucket)
    said = choices or Choices()
    said = said if of.bands is None else said.for_model(of.bands)
    given = Given(find_files(listed, store), said, check_pixels)
    document = {**given.document(), "partition_bytes": partition_bytes}
    name = name or _name_of(given)
    folder = DataFolder(deployment.stack.store(), deployment.bucket, name, document, progress)
    target = Path(manifest or f"{name}.json")
    _check_target(target, folder.uri)
    ranks = {} if world_size is None else {"inference": {"world_size": world_size}}
    _manifest(folder, of, given, ranks)
    folder.check_ours()
    with work_folder(Path(work) / name) as place:
        begun(place, document)
        ready = ready_partitions(given, place, store, progress, partition_bytes)
        uploaded = folder.upload(ready.files)
        of.upload(folder.store)
        text = json.dumps(_manifest(folder, of, given, ranks, len(ready.files)), indent=2) + "\n"
        _write_whole(target, text)
    return PutData(
        manifest=target,
        uri=folder.uri,
        model=of.uri,
        partitions=len(ready.files),
        rows=ready.rows,
        uploaded=uploaded,
        packed=ready.packed,
        warnings=given.warnings(ready.packed),
    )


def _name_of(given: Given) -> str:
    """The first file's name, as a job can have it."""
    file = PurePosixPath(given.inputs.files[0].name)
    stem = file.name[: len(file.name) - len(suffix_of(file))]  # it may be in capitals
    return job_from_key(stem)


def _manifest(
    folder: DataFolder,
    of: ModelToPut,
    given: Given,
    ranks: dict[str, Any],
    partitions: int = 1,
) -> dict[str, Any]:
    """The manifest of the data set; checked before there are partitions to count.

    Raises:
        InvalidInput: its name, or the model's URI, can't stand in one.
    """
    data: dict[str, Any] = {"uri": folder.uri, "expect": partitions}
    if not given.check_pixels:
        data["pixel_mismatch"] = "warn"
    model = {"uri": of.uri} | ({"sha256": of.sha256} if of.sha256 else {})
    document = {"version": 1, "job": folder.name, "model": model, "data": data, **ranks}
    check_manifest(document)
    return document


def _check_target(target: Path, uri: str) -> None:
    """Refuse to write over a file that is no manifest of this data set."""
    if not target.exists():
        return
    try:
        found = json.loads(target.read_bytes())["data"]["uri"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found != uri:
        hint = "give another --manifest, or another --name"
        raise InputError(f"{target} is another file", code="not-empty", hint=hint)


def _write_whole(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    beside.write_text(text)
    beside.replace(target)
