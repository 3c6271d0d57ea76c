"""Manifest v1: the one JSON document that a user drops into the bucket."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from cosmic.contracts.cai_payload import Payload, ResultPath, as_manifest, ignored, is_payload
from cosmic.contracts.contract import Contract, FormatName, RequestPayer
from cosmic.contracts.engines import EngineName, Precision
from cosmic.contracts.layout import no_folder, run_folder_in
from cosmic.contracts.location import parse_uri
from cosmic.errors import MAX_DEPTH, InvalidInput, Problem, plain, shortened

MANIFEST_PREFIX = "manifests/"
MAX_MANIFEST_BYTES = 1 << 20
MOST_SHOWN = 10
MOST_PROBLEMS = 50
JOB_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$"


def _s3_uri(uri: str) -> str:
    try:
        parse_uri(uri)
    except ValueError as error:
        raise PydanticCustomError("not_s3", "{text}", {"text": str(error)}) from error
    return uri


def _s3_object(uri: str) -> str:
    key = parse_uri(_s3_uri(uri)).key
    if not key or key.endswith("/"):
        raise PydanticCustomError("not_s3", "{uri} names no object", {"uri": repr(uri)})
    return uri


def _output_prefix(prefix: str) -> str:
    if prefix.startswith("/") or not prefix.endswith("/") or "//" in prefix:
        raise PydanticCustomError(
            "output_prefix",
            "{prefix} is not a prefix like results/ or a/b/",
            {"prefix": repr(prefix)},
        )
    if prefix.startswith(MANIFEST_PREFIX):
        raise PydanticCustomError(
            "output_prefix",
            "results may not be written under {manifests}, where each object starts a run",
            {"manifests": MANIFEST_PREFIX},
        )
    if why := no_folder(prefix):
        text = "{prefix} {why}"
        raise PydanticCustomError("output_prefix", text, {"prefix": repr(prefix), "why": why})
    run = run_folder_in(prefix)
    if run:
        raise PydanticCustomError(
            "output_prefix",
            "{prefix} lies in {run}/, which has the name of a run's folder",
            {"prefix": repr(prefix), "run": run},
        )
    return prefix


def _repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, each once, in their order."""
    return [name for name, count in Counter(names).items() if count > 1]


class _Repeating(dict[str, Any]):
    """A JSON object in which names occur more than once; the last value of each is kept."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = _repeated(name for name, _ in pairs)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeating(pairs)


S3Uri = Annotated[str, Field(max_length=2048), AfterValidator(_s3_uri)]
S3Object = Annotated[str, Field(max_length=2048), AfterValidator(_s3_object)]


PixelMismatch = Literal["auto", "refuse", "warn"]
Checked = TypeVar("Checked")


class Model(Contract):
    """The checkpoint to run."""

    uri: S3Object = Field(description="safetensors checkpoint, s3://bucket/key")
    sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="refuse a checkpoint that differs"
    )


class Data(Contract):
    """The partitions: all in a folder, or exactly those listed."""

    uri: S3Uri | None = Field(
        default=None,
        description="folder of the partitions, s3://bucket/folder/, with or without the last "
        "slash; all in it and below whose names end as the format's do are taken, in natural order",
    )
    partitions: tuple[S3Object, ...] | None = Field(
        default=None,
        min_length=1,
        strict=False,
        description="instead of uri: exactly these objects, in this order",
    )
    format: FormatName = Field(
        default="safetensors", description="layout of all partitions; pt is what torch.save writes"
    )
    expect: int | None = Field(default=None, ge=1, description="number of partitions there must be")
    first_listed: int | None = Field(
        default=None,
        ge=1,
        description="use at most this many partitions, in S3's listing order (1, 10, 100, 2)",
    )
    request_payer: RequestPayer | None = Field(
        default=None,
        description="requester: partitions and model are read from Requester Pays buckets, at the "
        "expense of the account that the run is in",
    )
    pixel_mismatch: PixelMismatch = Field(
        default="auto",
        description="what happens if pixels are not as bright as the magnitudes say (a wrong unit, "
        "another order of bands): refuse rejects the run, warn runs it with a warning; auto "
        "refuses safetensors and warns for pt, whose pixels have the unit of the model's training",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.uri is None) == (self.partitions is None):
            raise PydanticCustomError("one_source", "give either uri or partitions")
        if self.partitions and self.first_listed:
            raise PydanticCustomError("first_listed", "first_listed can only be given with uri")
        if twice := sorted(_repeated(self.partitions or ())):
            shown = ", ".join(twice[:MOST_SHOWN])
            more = f" and {len(twice) - MOST_SHOWN} more" if len(twice) > MOST_SHOWN else ""
            raise PydanticCustomError("twice", "listed twice: {twice}", {"twice": shown + more})
        return self


class Inference(Contract):
    """How the model is run."""

    batch_size: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="rows the model sees at once; rows are cut between ranks at multiples of it",
    )
    world_size: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = Field(
        default="auto",
        description="number of ranks, at most one per batch; auto is the best value",
    )
    engine: EngineName | Literal["auto"] = Field(
        default="auto",
        description="library that runs the model; auto is openvino where ranks have it",
    )
    precision: Precision = Field(
        default="float32",
        description="bf16 computes with fewer digits; openvino only, and refused where the "
        "processor has no bf16 arithmetic",
    )
    limit_rows: int | None = Field(default=None, ge=1, description="read at most this many rows")


class Fmi(Contract):
    """How ranks talk to each other."""

    channel: Literal["auto", "direct", "redis", "s3", "none"] = Field(
        default="auto", description="how ranks talk; auto takes the fastest that is set up"
    )
    timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=840,
        strict=False,
        description="longest wait for other ranks, seconds",
    )


class Tolerate(Contract):
    """What may go wrong before the run counts as failed."""

    failed_rows_percent: float = Field(
        default=0.0,
        ge=0,
        le=100,
        strict=False,
        description="rows that may lack a prediction before the run counts as failed",
    )


class RunLimits(Contract):
    """What the run may cost; init refuses one that is expected to cost more."""

    max_cost_usd: float | None = Field(
        default=None,
        gt=0,
        strict=False,
        allow_inf_nan=False,
        description="refuse the run if it is expected to cost more, in US dollars; without "
        "rows_per_s, if it could cost more with every rank at its time limit",
    )
    rows_per_s: float | None = Field(
        default=None,
        gt=0,
        strict=False,
        allow_inf_nan=False,
        description="rows per second of the model on one core, as measured, for max_cost_usd",
    )


class Output(Contract):
    """Where the run's folder is made, in the manifest's bucket."""

    prefix: Annotated[str, Field(max_length=512), AfterValidator(_output_prefix)] = Field(
        default="runs/", description="where the run's folder is made; never under manifests/"
    )
    cai_result_path: ResultPath | None = Field(
        default=None, description="write CAI's combined_data.json, as of this result_path"
    )
    hats: bool = Field(
        default=False,
        description="write the catalogue as a HATS collection, too, which LSDB opens: "
        "catalogue.hats/ in the run's folder",
    )


class Manifest(Contract):
    """What to run on what."""

    version: Literal[1] = Field(description="version of this format")
    job: str = Field(
        pattern=JOB_PATTERN,
        description="name of the job: lower-case letters, digits, hyphens, at most 60; "
        "the run's id begins with it",
    )
    model: Model
    data: Data
    inference: Inference = Inference.model_construct()
    fmi: Fmi = Fmi.model_construct()
    tolerate: Tolerate = Tolerate.model_construct()
    limits: RunLimits = RunLimits.model_construct()
    output: Output = Output.model_construct()
    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of how the document was read."""
        return self._warnings


_ADAPTER = TypeAdapter(Manifest)
_PAYLOAD = TypeAdapter(Payload)


def parse_manifest(text: bytes) -> Manifest:
    """Read and check a manifest, or CAI's payload as one.

    Raises:
        InvalidInput: it has mistakes; lists all of them.
    """
    if len(text) > MAX_MANIFEST_BYTES:
        _refuse("not-json", f"{len(text)} bytes long", f"at most {MAX_MANIFEST_BYTES} bytes")
    try:
        document = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        _refuse("not-json", f"not JSON: {error}", "check it with `python -m json.tool`")
    if not isinstance(document, dict):
        _refuse("not-an-object", f"a JSON {type(document).__name__}", "a manifest is a JSON object")
    return check_manifest(document)


def check_manifest(document: dict[str, Any]) -> Manifest:
    """Check a manifest, or CAI's payload as one, that has been read as JSON.

    Raises:
        InvalidInput: it has mistakes; lists all of them.
    """
    if problems := list(_unwritable(document)):
        raise InvalidInput(_first(problems))
    if not is_payload(document):
        return _checked(_ADAPTER, document)
    manifest = _checked(_ADAPTER, as_manifest(_checked(_PAYLOAD, document)))
    manifest._warnings = ignored(document)
    return manifest


def _unwritable(value: Any, pointer: str = "", depth: int = 0) -> Iterator[Problem]:
    """What JSON's grammar allows, but has no one meaning or no file of ours can hold."""
    if depth > MAX_DEPTH:
        message = f"nests more than {MAX_DEPTH} levels deep"
        yield Problem(pointer, message, None, "a manifest needs three levels", "too-deep")
    elif isinstance(value, str) and value != plain(value):
        message = "holds half of a surrogate pair, which is not a character"
        yield Problem(pointer, message, value, "write the character in UTF-8", "not-text")
    elif isinstance(value, dict):
        for name in value.repeated if isinstance(value, _Repeating) else ():
            message = "is given more than once"
            yield Problem(_below(pointer, name), message, value[name], "keep one", "repeated")
        for name, inner in value.items():
            yield from _unwritable(str(name), _below(pointer, name), depth + 1)
            yield from _unwritable(inner, _below(pointer, name), depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _unwritable(inner, _below(pointer, index), depth + 1)


def _below(pointer: str, name: Any) -> str:
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


def _checked(adapter: TypeAdapter[Checked], document: dict[str, Any]) -> Checked:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        problems = [_problem(e["loc"], e["type"], e["msg"], e["input"]) for e in error.errors()]
        first_at = {p.pointer: p for p in reversed(problems)}
        kept = [p for p in problems if first_at[p.pointer] is p]
        raise InvalidInput(_first(kept)) from error


def _first(problems: list[Problem]) -> list[Problem]:
    """The first problems, and how many more there are: nobody reads thousands."""
    more = len(problems) - MOST_PROBLEMS
    if more <= 0:
        return problems
    message = f"{more} more problem{'s' if more > 1 else ''}, not listed"
    hint = f"correct the first {MOST_PROBLEMS}, then check it again"
    return [*problems[:MOST_PROBLEMS], Problem("", message, None, hint, "more-problems")]


def manifest_schema() -> dict[str, Any]:
    """The manifest's JSON Schema (2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_ADAPTER.json_schema(),
    }


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise InvalidInput([Problem("", message, None, hint, code)])


HINTS = {
    "/job": "up to 60 lower-case letters, digits and hyphens",
    "/inference/world_size": 'a number of ranks from 1 to 10000, or "auto"',
    "extra_forbidden": "remove it, or check its spelling",
    "missing": "add it",
    "not_s3": "give a location like s3://bucket/key; `aws s3 ls` shows buckets' names",
    "output_prefix": "use a prefix like runs/",
    "bucket": "the name alone, without s3://, as `aws s3 ls` shows it",
    "result_path": "use a folder like result-partition-100MB/1GB/1",
    "first_listed": "leave it out, and list the partitions that you want",
    "/limits/max_cost_usd": "dollars, more than 0",
    "/limits/rows_per_s": "rows per second of one core, more than 0: `cosmic tune` measures it",
    "one_source": "uri: all partitions in a folder; partitions: a list of objects",
}


def _problem(loc: tuple[int | str, ...], kind: str, message: str, value: Any) -> Problem:
    names = [str(p) for p in loc if p not in ("int", "constrained-int", "literal['auto']")]
    if names == ["version"] and kind == "literal_error":
        return Problem("/version", f"version {value!r} is unknown", value, "use 1", "bad-version")
    pointer = ""
    for name in names:
        pointer = _below(pointer, name)
    seen = None if kind == "missing" else value
    shown = "" if kind == "missing" else f", got {shortened(value, 80)}"
    hint = HINTS.get(pointer) or HINTS.get(kind, "")
    if kind == "extra_forbidden" and (meant := _meant(names)):
        hint = f"did you mean {meant!r}?"
    return Problem(pointer, message + shown, seen, hint, kind.replace("_", "-"))


def _meant(names: Sequence[str]) -> str:
    """The field that is spelled most like the last of these, where the others lead; or nothing."""
    *above, name = names
    place: type[BaseModel] = Manifest
    for outer in above:
        found = place.model_fields.get(outer)
        if found is None or not isinstance(found.annotation, type):
            return ""
        place = found.annotation
    return next(iter(get_close_matches(name, place.model_fields, 1)), "")
