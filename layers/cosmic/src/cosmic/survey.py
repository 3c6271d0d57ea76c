"""Look at a run's input before anything is started: the partitions there are, and the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cosmic.errors import InputError, Problem
from cosmic.manifest import Data, FormatName, Model
from cosmic.partitions.columns import Header
from cosmic.partitions.formats import FORMATS, read_header
from cosmic.plan import PlannedModel, PlannedPartition, missing_from_numbered_set, natural_order
from cosmic.store import Location, Readable, StoredObject, parse_uri

HEADER_READERS = 16


@dataclass
class Survey:
    """What was found, and everything that is wrong with it."""

    partitions: list[PlannedPartition] = field(default_factory=list)
    model: PlannedModel | None = None
    ignored_keys: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def survey(store: Readable, data: Data, model: Model) -> Survey:
    """List the partitions, read their headers and check the model's checksum."""
    found = Survey()
    _survey_model(store, model, found)
    listed = _list_partitions(store, data, found)
    with ThreadPoolExecutor(HEADER_READERS) as pool:
        for outcome in pool.map(lambda item: _open_partition(store, data.format, *item), listed):
            if isinstance(outcome, PlannedPartition):
                found.partitions.append(outcome)
            else:
                found.problems += outcome
    return found


def _survey_model(store: Readable, model: Model, found: Survey) -> None:
    at = parse_uri(model.uri)
    try:
        head = store.head(at)
        digest = hashlib.sha256(store.get(at)).hexdigest()
    except InputError as error:
        problem = _as_problem("/model/uri", model.uri, error)
        found.problems.append(replace(problem, hint=_unconverted(store, at) or problem.hint))
        return
    if model.sha256 and digest != model.sha256:
        message = f"{model.uri} has sha256 {digest}"
        hint = "upload the model that the manifest names, or correct the manifest"
        found.problems.append(
            Problem("/model/sha256", message, model.sha256, hint, "checksum-differs")
        )
    found.model = PlannedModel(
        bucket=at.bucket, key=at.key, etag=head.etag, bytes=head.bytes, sha256=digest
    )


def _unconverted(store: Readable, at: Location) -> str:
    """What to do where the checkpoint is there as torch saved it."""
    pickled = Location(at.bucket, at.key.removesuffix(".safetensors") + ".pt")
    if any(found.key == pickled.key for found in _listed_or_none(store, pickled)):
        return f"{pickled.uri} is there: make it of that with `cosmic model convert`"
    return ""


def _listed_or_none(store: Readable, at: Location) -> list[StoredObject]:
    try:
        return list(store.list(at))
    except InputError:
        return []


def _list_partitions(
    store: Readable, data: Data, found: Survey
) -> list[tuple[Location, StoredObject | None]]:
    if data.partitions is not None:
        listed: list[tuple[Location, StoredObject | None]] = [
            (parse_uri(uri), None) for uri in data.partitions
        ]
    else:
        listed = _list_prefix(store, parse_uri(data.uri or ""), data, found)
    if data.expect is not None and listed and len(listed) != data.expect:
        message = f"{len(listed)} partitions found where {data.expect} are expected"
        found.problems.append(
            Problem("/data/expect", message, data.expect, "", "wrong-partition-count")
        )
    return listed


def _list_prefix(
    store: Readable, prefix: Location, data: Data, found: Survey
) -> list[tuple[Location, StoredObject | None]]:
    try:
        objects = {o.key: o for o in store.list(prefix)}
    except InputError as error:
        found.problems.append(_as_problem("/data/uri", data.uri, error))
        return []
    suffix = FORMATS[data.format].suffix
    keys = natural_order(k for k in objects if k.endswith(suffix))
    found.ignored_keys = sorted(
        k for k in objects if not k.endswith(suffix) and not k.endswith("/")
    )
    if not keys:
        message = f"no {suffix} partitions under {prefix.uri}"
        hint = _other_formats(found.ignored_keys)
        found.problems.append(Problem("/data/uri", message, data.uri, hint, "no-partitions"))
    missing = _missing(keys)
    if missing:
        message = f"{len(missing)} of the numbered partitions are missing: {', '.join(missing)}"
        hint = "upload them, or list the partitions that you want in data.partitions"
        found.problems.append(Problem("/data/uri", message, missing, hint, "missing-partitions"))
    chosen = set(sorted(keys, key=str.encode)[: data.first_listed])
    return [(Location(prefix.bucket, k), objects[k]) for k in keys if k in chosen]


def _other_formats(keys: Sequence[str]) -> str:
    """What to do about objects that are there, where none has the ending looked for."""
    for name, layout in FORMATS.items():
        if any(key.endswith(layout.suffix) for key in keys):
            return f'{layout.suffix} objects are there: "format": "{name}" reads them'
    return f"{len(keys)} other objects are there" if keys else ""


def _missing(keys: Sequence[str]) -> list[str]:
    folders: dict[str, list[str]] = {}
    for key in keys:
        folders.setdefault(key.rpartition("/")[0], []).append(key)
    return [m for group in folders.values() for m in missing_from_numbered_set(group)]


def _open_partition(
    store: Readable, layout: FormatName, at: Location, listed: StoredObject | None
) -> PlannedPartition | list[Problem]:
    try:
        found = listed or store.head(at)
        header = read_header(
            layout,
            lambda offset, length: store.get_range(at, offset, length, etag=found.etag),
            found.bytes,
            at.uri,
        )
    except InputError as error:
        return [_as_problem(at.uri, None, error)]
    if not isinstance(header, Header):
        return header
    return PlannedPartition(
        bucket=at.bucket,
        key=at.key,
        etag=found.etag,
        bytes=found.bytes,
        rows=header.rows,
        row_bytes=header.row_bytes,
        format=layout,
    )


def _as_problem(pointer: str, value: str | None, error: InputError) -> Problem:
    return Problem(pointer, error.message, value, error.hint, error.code)
