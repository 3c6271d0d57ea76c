"""What a model's card says about its speed: figures for each engine and precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from cosmic.contracts.contract import Contract
from cosmic.contracts.engines import EngineName, Precision
from cosmic.costs.measured import Measured
from cosmic.errors import InputError, InvalidInput, Problem

KEY = "measured"
HINT = "`cosmic model measure FOLDER` measures it"


class CardFigures(Contract):
    """One block of a card.

    Attributes:
        date: Of the measurement, UTC, `2026-11-28`.
        cpu: The processor that it was made on.
        versions: Of what ran, by name of the package.
        figures: What was measured.
    """

    date: str
    cpu: str
    versions: dict[str, str]
    figures: Measured

    @property
    def runs(self) -> Runs:
        """What ran the model."""
        return Runs(self.figures.engine, self.figures.precision)


class Runs(NamedTuple):
    """What runs a model."""

    engine: EngineName
    precision: Precision


def is_card(document: Any) -> bool:
    """Whether a document is a model's card."""
    return isinstance(document, dict) and {"sha256", "parameters", "architecture"} <= set(document)


def of_card(card: Mapping[str, Any], path: Path, wanted: Runs | None) -> Measured:
    """The figures in a card.

    Args:
        card: As `card.json` has it.
        path: Its place.
        wanted: What is to run the model. If it is None, or was not measured, the first block is
            taken, and `unlike` says what doesn't fit.

    Raises:
        InputError: there are none.
        InvalidInput: they are damaged.
    """
    blocks = read_figures(card, path)
    if not blocks:
        raise InputError(f"{path} has no figures", code="not-measured", hint=HINT)
    found = next((block for block in blocks if block.runs == wanted), blocks[0])
    where = f"{path}, measured {found.date} on {found.cpu}"
    return found.figures.model_copy(update={"where": where})


def with_figures(card: Mapping[str, Any], new: CardFigures, path: Path) -> dict[str, Any]:
    """A card with one more block, which replaces that of the same engine and precision.

    Blocks that were measured with other weights are removed.

    Raises:
        InputError: the figures are of another model than the card.
        InvalidInput: the card's figures are damaged.
    """
    if card.get("sha256") != new.figures.model_sha256:
        message = f"{path} is the card of another checkpoint than the one measured"
        raise InputError(message, code="other-model", hint="train or convert writes its card")
    kept = [
        block
        for block in read_figures(card, path)
        if block.runs != new.runs and block.figures.model_sha256 == card["sha256"]
    ]
    return {**card, KEY: [block.model_dump(mode="json") for block in (*kept, new)]}


def read_figures(card: Mapping[str, Any], path: Path) -> list[CardFigures]:
    """All blocks of a card.

    Raises:
        InvalidInput: they are damaged.
    """
    try:
        return [CardFigures.model_validate(b, strict=False) for b in card.get(KEY, [])]
    except (ValidationError, TypeError) as error:
        message = f"{path}: the figures are damaged: {error}"
        raise InvalidInput([Problem(f"/{KEY}", message, None, HINT, "not-measured")]) from error
