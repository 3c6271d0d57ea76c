"""What the columns of a partition are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic.contracts.bands import BANDS, Bands
from cosmic.data.pack.fluxes import Fluxes
from cosmic.data.pack.layout import image_shape
from cosmic.data.pack.source import Field, where_of
from cosmic.errors import Problem


@dataclass(frozen=True)
class Taken:
    """What a column is made of.

    Attributes:
        fields: One, or one a band.
        factor: What turns the file's numbers into the column's unit.
        fluxes: What the magnitudes, or their errors, are computed from; None: they are in the file.
    """

    fields: tuple[Field, ...]
    factor: float = 1.0
    fluxes: Fluxes | None = None

    @property
    def where(self) -> str:
        """The fields' names and place, for people."""
        names = where_of(self.fields)
        if self.fluxes is None:
            return names
        errors = "" if self.fields == self.fluxes.values else "errors of "
        return f"{errors}asinh magnitudes, from {names}"

    @property
    def unit(self) -> str:
        """What the file says, or what is taken for it."""
        said = ", ".join(dict.fromkeys(f.unit for f in self.fields))
        by_name = self.fluxes is not None and self.fields == self.fluxes.values and not said
        return f"{self.fluxes.unit}, by its name" if self.fluxes and by_name else said


@dataclass(frozen=True)
class Mapped:
    """Which fields make up which columns.

    Attributes:
        taken: By column.
        bands: Names of the bands of `image`, rows first, if the file says them.
        wanted: The bands that are taken, in their order.
        problems: Everything that is in the way; the rest then is what was found all the same.
        cutouts: Files that are an object's, and how many objects have none.
        masks: Fields of booleans beside the images or magnitudes, of their shape, which are not
            applied: whether they mark good values or bad ones, no file says.
    """

    taken: Mapping[str, Taken]
    bands: Field | None = None
    problems: Sequence[Problem] = ()
    cutouts: tuple[frozenset[Path], int] = (frozenset(), 0)
    masks: tuple[str, ...] = ()
    wanted: Bands = BANDS

    @property
    def rows(self) -> int:
        """Of every field that is taken."""
        return self.taken["image"].fields[0].rows

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the images; None: not known before they are read."""
        (*_, image) = self.taken["image"].fields
        return image_shape(image.row_shape, len(image.bands) or len(self.wanted))
