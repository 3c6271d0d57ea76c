"""What a prediction is of, and whether a later call means the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosmic import __version__
from cosmic.contracts.engines import EngineName, Precision
from cosmic.contracts.layout import run_id
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.pack import Packed
from cosmic.data.pack.summary import ignored_line, warnings_of
from cosmic.errors import InvalidInput, Problem
from cosmic.workstation.shards import SHARD_ROWS, shards_for
from cosmic.workstation.shipped_model import CAUTION, shipped_sha256
from cosmic.workstation.sources import InputFile, InputFiles, file_here

WAY_ON = "give another --out, or --restart to discard what was done and start over"


@dataclass(frozen=True)
class Inference:
    """How the model is run.

    Attributes:
        batch_size: Rows the model sees at once.
        engine: Library that runs it; `auto` is openvino.
        precision: `float32` or `bf16`.
        shard_rows: Rows that are written at once; a stop costs no more.
    """

    batch_size: int = 64
    engine: EngineName | str = "auto"
    precision: Precision | str = "float32"
    shard_rows: int = SHARD_ROWS

    def as_manifest(self, rows: int) -> dict[str, Any]:
        """As a manifest says it, for this number of rows."""
        return {
            "batch_size": self.batch_size,
            "engine": self.engine,
            "precision": self.precision,
            "world_size": shards_for(rows, self.shard_rows),
        }


@dataclass(frozen=True)
class Given:
    """What is read, and how.

    Attributes:
        inputs: The files.
        choices: What they don't say.
        check_pixels: Whether files are refused whose pixels and magnitudes disagree.
    """

    inputs: InputFiles
    choices: Choices
    check_pixels: bool

    def document(self) -> dict[str, Any]:
        """As JSON, such that a later call can be compared with it."""
        choices = asdict(self.choices)
        if self.choices.cutouts is not None:
            choices["cutouts"] = file_here(self.choices.cutouts).as_dict()
        return {
            "version": 1,
            "software": __version__,
            "inputs": [file.as_dict() for file in self.inputs.files],
            "choices": choices,
            "check_pixels": self.check_pixels,
        }

    @property
    def dataset(self) -> str:
        """The files' names for people."""
        first, *others = (file.name for file in self.inputs.files)
        return f"{first} and {len(others):,} more" if others else first

    def warnings(self, packed: Packed | None) -> tuple[str, ...]:
        """What somebody should know of the files."""
        ignored = self.inputs.ignored
        return tuple(warnings_of(packed, ignored) if packed else ignored_line(ignored))


@dataclass(frozen=True)
class Job:
    """What is predicted, by what and how.

    Attributes:
        given: What is read.
        model: The checkpoint; `sha256` is its checksum.
    """

    given: Given
    model: InputFile
    sha256: str
    inference: Inference

    def document(self) -> dict[str, Any]:
        """As JSON, such that a later call can be compared with it."""
        return {
            **self.given.document(),
            "model": {"name": Path(self.model.name).name, "sha256": self.sha256},
            "inference": asdict(self.inference),
        }

    def warnings(self, packed: Packed | None) -> tuple[str, ...]:
        """What somebody should know of model and input."""
        cautions = (CAUTION,) if self.sha256 == shipped_sha256() else ()
        return (*cautions, *self.given.warnings(packed))


def as_json(document: Mapping[str, Any]) -> Any:
    """A document as it is read back."""
    return json.loads(json.dumps(document))


def run_name(document: Mapping[str, Any]) -> str:
    """The run's id, which follows from what is predicted."""
    text = json.dumps(document, sort_keys=True)
    return run_id("predict", "", hashlib.sha256(text.encode()).hexdigest(), "")


def refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with another input, model or options than what was begun with.

    Raises:
        InvalidInput: everything that differs.
    """
    if problems := list(_changes(before, as_json(now))):
        raise InvalidInput(problems)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Problem]:
    earlier, later = ({f["name"]: f for f in job.get("inputs", ())} for job in (before, now))
    for name in [*earlier, *(n for n in later if n not in earlier)]:
        if earlier.get(name) != later.get(name):
            yield _changed(name, _what(earlier.get(name), later.get(name)))
    if list(earlier) != list(later) and earlier.keys() == later.keys():
        yield _changed("", "the files are in a different order than in the first call")
    named = {"model": "--model", "choices": "options of the input", "inference": "inference"}
    named |= {"check_pixels": "--unchecked-pixels", "software": "the version of Cosmic"}
    for key, what in named.items():
        if before.get(key) != now.get(key):
            yield _changed(what, f"was {before.get(key)}, is {now.get(key)} now")


def _what(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    if before is None or now is None:
        return "is new" if before is None else "is no longer among the files"
    sizes = f" ({before['bytes']:,} bytes then, {now['bytes']:,} now)"
    return f"has changed since the first call{sizes}"


def _changed(where: str, what: str) -> Problem:
    return Problem(where, what, None, WAY_ON, "changed")
