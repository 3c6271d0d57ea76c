"""Look at a run's input before anything is started: the partitions there are, and the model."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cosmic.contracts.columns import Header
from cosmic.contracts.contract import FormatName
from cosmic.contracts.location import Location, parse_uri
from cosmic.contracts.manifest import Data, Model
from cosmic.contracts.numbered_sets import (
    MOST_HOLES,
    Holes,
    missing_from_numbered_set,
    natural_order,
)
from cosmic.contracts.plan import FunctionLimits, PlannedModel, PlannedPartition
from cosmic.data.checkpoint_header import DOMAIN, bands_in
from cosmic.data.dataset_index import IndexedPartition
from cosmic.data.formats import FORMATS, read_header
from cosmic.errors import InputError, Problem
from cosmic.planning.capacity import too_much_to_look_at
from cosmic.planning.fitting_bands import other_bands
from cosmic.planning.indexed import is_index, known_partitions
from cosmic.planning.model_file import read_checkpoint
from cosmic.planning.pixel_sample import (
    OpenPartition,
    as_problem,
    as_warning,
    compare_pixels,
    refuses,
)
from cosmic.planning.training_images import other_scale, too_small
from cosmic.storage.interfaces import Readable, StoredObject
from cosmic.storage.listing import agreed_listing

HEADER_READERS = 16
SHOWN_NAMES = 5
MOST_LIKE = 1000


@dataclass
class RunInputs:
    """What was found, and everything that is wrong with it.

    Attributes:
        check_pixels: Whether pixels and magnitudes agree overall, so that a single object in
            which they do not is worth a flag.
    """

    partitions: list[PlannedPartition] = field(default_factory=list)
    model: PlannedModel | None = None
    ignored_keys: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    check_pixels: bool = False


def inspect_inputs(
    store: Readable,
    data: Data,
    model: Model,
    *,
    largest_model_bytes: int | None = None,
    functions: FunctionLimits | None = None,
) -> RunInputs:
    """List the partitions, read their headers and a few rows, and check the model.

    The rows tell whether pixels are as bright as the magnitudes say.

    Args:
        largest_model_bytes: A larger model is refused unread; None: there is no limit.
        functions: More partitions than `init` can inspect are refused unread; None: no limit.
    """
    found, store = RunInputs(), store.paid_by(data.request_payer)
    metadata = _survey_model(store, model, largest_model_bytes, found)
    listed = _list_partitions(store, data, found)
    if functions and (refused := _too_many(listed, functions)):
        found.problems += refused
        return found
    opened: list[OpenPartition] = []
    with ThreadPoolExecutor(HEADER_READERS) as pool:
        unknown = [item for item in listed if item.known is None]
        read = pool.map(lambda item: _open_partition(store, data.format, item), unknown)
        for item in listed:
            outcome = next(read) if item.known is None else _from_index(item, item.known)
            if isinstance(outcome, OpenPartition):
                opened.append(outcome)
            else:
                found.problems += outcome
        found.partitions = [o.planned for o in opened]
        found.problems += other_bands(found.model, opened)
        if len({o.bands for o in opened}) < 2:
            _survey_pixels(store, data, opened, pool, found)
    found.problems += too_small(metadata, opened)
    found.warnings += other_scale(metadata, opened)
    found.problems += _different_ids(data, found.partitions)
    return found


def _too_many(listed: Sequence[Listed], functions: FunctionLimits) -> list[Problem]:
    headers = sum(item.known is None for item in listed)
    return too_much_to_look_at("/data", len(listed), headers, functions)


def _different_ids(data: Data, partitions: Sequence[PlannedPartition]) -> list[Problem]:
    """A problem if some partitions have text ids and others whole numbers: one column is one."""
    first = {p.id_bytes is None: p for p in reversed(partitions)}
    if len(first) < 2:
        return []
    number, text = (Location(first[kind].bucket, first[kind].key).uri for kind in (True, False))
    message = f"object_id is text in {text} and whole numbers in {number}"
    pointer = "/data/uri" if data.partitions is None else "/data/partitions"
    hint = "pack all of them together with `cosmic data pack`, which makes all ids text"
    return [Problem(pointer, message, None, hint, "bad-partition")]


def _survey_pixels(
    store: Readable,
    data: Data,
    opened: Sequence[OpenPartition],
    connections: Executor,
    found: RunInputs,
) -> None:
    try:
        report = compare_pixels(store, opened, connections)
    except InputError as error:
        found.problems.append(_as_problem("/data", data.uri, error))
        return
    refused = refuses(data)
    found.check_pixels = report.verdict == "ok" or (refused and not report.refused)
    if report.refused and refused:
        found.problems.append(as_problem(report))
    elif report.message:
        found.warnings.append(as_warning(report))


def _survey_model(
    store: Readable, model: Model, largest: int | None, found: RunInputs
) -> dict[str, str]:
    """Note the model and what is wrong with it; returns the checkpoint's metadata."""
    at = parse_uri(model.uri)
    try:
        head = store.head(at)
        _refuse_large(head, largest)
        checkpoint = read_checkpoint(store, at, head, model.sha256)
    except InputError as error:
        problem = _as_problem("/model/uri", model.uri, error)
        found.problems.append(replace(problem, hint=_unconverted(store, at) or problem.hint))
        return {}
    if model.sha256 and checkpoint.sha256 != model.sha256:
        message = f"{model.uri} has sha256 {checkpoint.sha256}"
        hint = "upload the model that the manifest names, or correct the manifest"
        found.problems.append(
            Problem("/model/sha256", message, model.sha256, hint, "checksum-differs")
        )
    found.model = PlannedModel(
        bucket=at.bucket,
        key=at.key,
        etag=head.etag,
        bytes=head.bytes,
        sha256=checkpoint.sha256,
        has_domain=DOMAIN in checkpoint.metadata,
        bands=bands_in(checkpoint.metadata),
    )
    return checkpoint.metadata


def _refuse_large(head: StoredObject, largest: int | None) -> None:
    if largest is not None and head.bytes > largest:
        message = f"{head.bytes} bytes long, but a rank's memory holds a model of {largest} bytes"
        hint = "check that this is the model, or deploy with a larger InferMemorySize"
        raise InputError(message, code="too-little-memory", hint=hint)


def _unconverted(store: Readable, at: Location) -> str:
    """What to do where the checkpoint is there as torch saved it."""
    pickled = Location(at.bucket, at.key.removesuffix(".safetensors") + ".pt")
    if pickled.key in _beginning(store, pickled, 1):
        return f"{pickled.uri} exists: convert it with `cosmic model convert`"
    return ""


def _beginning(store: Readable, at: Location, most: int) -> Sequence[str]:
    try:
        return store.keys_beginning(at, most)
    except InputError:
        return []


@dataclass(frozen=True)
class Listed:
    """A partition to look at.

    Attributes:
        pointer: Where the manifest names it, or the folder that it was found in.
        found: What its folder's listing says about it; None if the manifest names it by itself.
        known: What an index says about it, which saves reading its header.
    """

    at: Location
    pointer: str
    found: StoredObject | None = None
    known: IndexedPartition | None = None


def _list_partitions(store: Readable, data: Data, found: RunInputs) -> list[Listed]:
    if data.partitions is not None:
        listed = [
            Listed(parse_uri(uri), f"/data/partitions/{index}")
            for index, uri in enumerate(data.partitions)
        ]
    else:
        listed = _list_folder(store, parse_uri(data.uri or ""), data, found)
    if data.expect is not None and listed and len(listed) != data.expect:
        message = f"{len(listed)} partitions found, {data.expect} expected"
        found.problems.append(
            Problem("/data/expect", message, data.expect, "", "wrong-partition-count")
        )
    return listed


def _list_folder(store: Readable, named: Location, data: Data, found: RunInputs) -> list[Listed]:
    try:
        objects = agreed_listing(store, named)
    except InputError as error:
        found.problems.append(_as_problem("/data/uri", data.uri, error))
        return []
    if not objects:
        found.problems.append(_no_folder(store, named, data))
        return []
    layout, start = FORMATS[data.format], len(named.folder.key)
    keys = natural_order(k for k in objects if layout.is_partition(k[start:]))
    left = (k for k in objects.keys() - set(keys) if not k.endswith("/"))
    found.ignored_keys = sorted(k for k in left if not is_index(k))
    if not keys:
        message = f"no {layout.suffix} partitions in {named.folder.uri}"
        hint = _other_formats(found.ignored_keys)
        found.problems.append(Problem("/data/uri", message, data.uri, hint, "no-partitions"))
    count, missing = _missing(keys)
    if missing:
        more = f" and {count - len(missing)} more" if count > len(missing) else ""
        names = f"{', '.join(missing)}{more}"
        message = f"{count} of the numbered partitions are missing: {names}"
        hint = "upload them, or list the partitions that you want in data.partitions"
        found.problems.append(Problem("/data/uri", message, missing, hint, "missing-partitions"))
    known, warnings = known_partitions(store, named.bucket, objects)
    found.warnings += warnings
    chosen = set(sorted(keys, key=str.encode)[: data.first_listed])
    return [
        Listed(Location(named.bucket, k), "/data/uri", objects[k], known.get(k))
        for k in keys
        if k in chosen
    ]


def _no_folder(store: Readable, named: Location, data: Data) -> Problem:
    """What is wrong with a URI that has no object below it, and what begins like it."""
    like = [] if named == named.folder else _beginning(store, named, MOST_LIKE)
    if named.key in like:
        message = f"{named.uri} is an object, not a folder"
        hint = 'give its folder, or list the object: "partitions": [...] in place of "uri"'
        return Problem("/data/uri", message, data.uri, hint, "not-a-folder")
    message = f"there is nothing in the folder {named.folder.uri}"
    hint = ""
    if like:
        shown = ", ".join(_names_like(named, like)[:SHOWN_NAMES])
        hint = (
            f"a folder's name is given whole; {shown} begin{'s' if len(like) == 1 else ''} so: "
            "give one of those folders, or list the objects in data.partitions"
        )
    return Problem("/data/uri", message, data.uri, hint, "no-partitions")


def _names_like(named: Location, keys: Sequence[str]) -> list[str]:
    """The folders and objects whose names go on from this one's, each once."""
    start = len(named.key)
    ends = [key[start:].partition("/") for key in keys]
    return list(dict.fromkeys(f"{named.uri}{rest}{slash}" for rest, slash, _ in ends))


def _other_formats(keys: Sequence[str]) -> str:
    """What to do about objects that are there, where none has the ending looked for."""
    for name, layout in FORMATS.items():
        if any(key.endswith(layout.suffix) for key in keys):
            return f'{layout.suffix} objects are in the folder: use "format": "{name}" to read them'
    return f"{len(keys)} other objects are in the folder" if keys else ""


def _missing(keys: Sequence[str]) -> Holes:
    folders: dict[str, list[str]] = {}
    for key in keys:
        folders.setdefault(key.rpartition("/")[0], []).append(key)
    found = [missing_from_numbered_set(group) for group in folders.values()]
    first = [name for holes in found for name in holes.first]
    return Holes(sum(holes.total for holes in found), first[:MOST_HOLES])


def _open_partition(
    store: Readable, layout: FormatName, listed: Listed
) -> OpenPartition | list[Problem]:
    outcome = _read_partition(store, layout, listed, listed.found)
    if isinstance(outcome, OpenPartition) or listed.found is None:
        return outcome
    # The listing has no checksum and may have been damaged, or be older than the object.
    return _read_partition(store, layout, listed, None)


def _read_partition(
    store: Readable, layout: FormatName, listed: Listed, known: StoredObject | None
) -> OpenPartition | list[Problem]:
    at = listed.at
    try:
        found = known or store.head(at)
        header = read_header(
            layout,
            lambda offset, length: store.get_range(at, offset, length, etag=found.etag),
            found.bytes,
            at.uri,
        )
    except InputError as error:
        return [_as_problem(listed.pointer, at.uri, error)]
    if not isinstance(header, Header):
        return header
    planned = PlannedPartition(
        bucket=at.bucket,
        key=at.key,
        etag=found.etag,
        bytes=found.bytes,
        rows=header.rows,
        row_bytes=header.row_bytes,
        format=layout,
        id_bytes=header.id_bytes,
    )
    return OpenPartition.of(planned, header)


def _from_index(listed: Listed, known: IndexedPartition) -> OpenPartition:
    """A partition whose object is the one that was indexed."""
    planned = PlannedPartition(
        bucket=listed.at.bucket,
        key=listed.at.key,
        etag=listed.found.etag if listed.found else "",
        bytes=known.bytes,
        rows=known.rows,
        row_bytes=known.row_bytes,
        id_bytes=known.id_bytes,
    )
    size, scale = known.image_size, known.pixel_arcsec
    return OpenPartition(planned, known.image_bytes, size, scale, bands=known.bands)


def _as_problem(pointer: str, value: str | None, error: InputError) -> Problem:
    return Problem(pointer, error.message, value, error.hint, error.code)
