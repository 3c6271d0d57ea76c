"""One table of a file, and which of its fields make up which columns: never by a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from cosmic.contracts.bands import listed_bands
from cosmic.contracts.columns import COLUMNS
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.flux_columns import FluxColumns, unsaid_fluxes
from cosmic.data.pack.fluxes import in_all_bands
from cosmic.data.pack.matching import (
    all_magnitudes,
    errors_beside,
    errors_of,
    in_spelling,
    incomplete,
    measurement_of,
    other_errors,
    series,
    spelled,
    usually_named,
)
from cosmic.data.pack.names import MAGNITUDES_BESIDE_Z, NAMES, NOT_PIXELS, Photometry
from cosmic.data.pack.source import Field, Source, where_of
from cosmic.data.pack.taken import Taken
from cosmic.data.pack.unfit import NEEDED, problem_of, unfit
from cosmic.data.pack.units import factor
from cosmic.errors import Problem

SHOWN_NAMES = 12
SHOWN_SERIES = 3
CUBE_AXES = 3  # of a row: what is no image of all bands by itself has fewer

Candidate = tuple[Field, ...]


class Table:
    """The fields of one table and of the cubes beside it, while columns are found among them.

    Attributes:
        taken: What the columns found so far are made of.
        problems: Everything that is in the way.
        bands: That are wanted, in order.

    Args:
        source: The file.
        here: The table's fields, and all cubes.
        choices: What a person says of them.
    """

    def __init__(self, source: Source, here: Sequence[Field], choices: Choices) -> None:
        self.source, self.choices, self.bands = source, choices, choices.wanted_bands
        self.here = list(here)
        self.columns = [f for f in here if not f.cube]
        self.taken: dict[str, Taken] = {}
        self.problems: list[Problem] = []

    def find(self, column: str) -> None:
        """Take the fields that a column is, or say why none or more than one could be."""
        found = self.candidates(column)
        if len(found) == 1:
            self._take(column, found[0])
        elif found:
            self.problems.append(self._ambiguous(column, found))
            self.taken.update({column: Taken(found[0])} if column in NEEDED else {})
        elif column in (*NEEDED, *self.choices.names) and not (column == "image" and self.problems):
            self.problems.append(self._lacking(column))

    def candidates(self, column: str) -> list[Candidate]:
        """All that a column could be: by its own name, else by the usual ones."""
        if column == "image" and self.choices.cutouts is not None:
            return self._cubes()
        if column in self.choices.names:
            return self.by_choice(self.choices.names[column])
        if column == "image":
            return self._cubes_of_pixels() + self._by_name(self.columns, column)
        if column == "mag":
            return in_spelling(self.columns, column, self.bands) or all_magnitudes(
                self.columns, self.bands
            )
        if column == "mag_err" and (of := self._measured()):
            return errors_of(self.columns, of, self.bands) or other_errors(
                self.columns, of, self.bands
            )
        return self._by_name(self._but_magnitudes(column), column)

    def by_choice(self, said: str) -> list[Candidate]:
        """What a person named: a field of this place, or of another as `place/name`."""
        parts = said.split(",")
        if len(parts) > 1 and not any(f.name == said for f in self.here):
            each = [self.by_choice(part.strip()) for part in parts]
            return [tuple(f for (f,) in found) for found in product(*each)]
        by_key = [self.source.fields[said]] if said in self.source.fields else []
        return [
            (f,)
            for f in [f for f in self.here if f.name == said]
            or by_key
            or [f for f in self.here if f.name.casefold() == said.casefold()]
        ]

    def _by_name(self, fields: list[Field], column: str) -> list[Candidate]:
        return spelled(fields, column, self.bands) or usually_named(fields, column, self.bands)

    def _cubes(self) -> list[Candidate]:
        return [(f,) for f in self.here if f.cube and len(f.row_shape) == CUBE_AXES]

    def _cubes_of_pixels(self) -> list[Candidate]:
        """Without the only one if it is weights whose image lies elsewhere."""
        found = self._cubes()
        if len(found) == 1 and found[0][0].name.casefold() in NOT_PIXELS and not self.choices.hdus:
            return []
        return found

    def _measured(self) -> Photometry | None:
        """The measurement whose magnitudes were taken, if their names say it."""
        return measurement_of(self._of("mag"), self.bands) if "mag" in self.taken else None

    def _but_magnitudes(self, column: str) -> list[Field]:
        """Of redshifts, without a `z` that is the magnitude in the z band."""
        if column != "z_spec":
            return self.columns
        named = [f for name in ("mag", "mag_err") if name in self.taken for f in self._of(name)]
        beside = MAGNITUDES_BESIDE_Z & {f.name.casefold() for f in self.columns}
        return [
            f
            for f in self.columns
            if not (beside and f.name.casefold() == "z") and not any(f is m for m in named)
        ]

    def _of(self, column: str) -> Candidate:
        return self.taken[column].fields

    def _take(self, column: str, fields: Candidate) -> None:
        """Take fields for a column, and note what keeps them from being it."""
        if column != "object_id":
            fields = tuple(f.numbers or f for f in fields)
        fluxes = self.taken["mag"].fluxes if column == "mag_err" and "mag" in self.taken else None
        if column == "mag" and in_all_bands(fields, self.bands):
            found = FluxColumns.of(fields, self.bands, chosen="mag" in self.choices.names)
            if found is not None:
                made = found.with_errors(self._flux_errors(fields))
                self.taken[column] = Taken(fields, made.factor, made)
                self.problems += found.problems(self.source, made)
                return
        if fluxes is not None and fields == fluxes.errors:
            self.taken[column] = Taken(fields, fluxes.error_factor, fluxes)
            return
        factors = [self._factor(column, f) for f in fields]
        self.problems += unfit(self.source, column, fields, factors, self.bands)
        if column in ("mag", "mag_err"):
            self.problems += unsaid_fluxes(self.source, column, fields)
        self.taken[column] = Taken(fields, factors[0] or 1.0)

    def _factor(self, column: str, each: Field) -> float | None:
        if column == "image" and self.choices.image_scale is not None:
            return self.choices.image_scale
        return factor(column, each.unit)

    def _flux_errors(self, fluxes: Candidate) -> Candidate:
        """What says how sure the fluxes are: what was chosen, or what lies beside them."""
        beside = errors_beside(self.columns, fluxes, self.bands)
        if "mag_err" in self.choices.names:
            chosen = self.by_choice(self.choices.names["mag_err"])
            beside = [found for found in chosen if found in beside]
        return next(iter(beside), ())

    def _ambiguous(self, column: str, found: list[Candidate]) -> Problem:
        several = any(len(each) > 1 for each in found)
        named = listed((where_of(each) for each in found), "; " if several else ", ")
        fields = ",".join("abcde") if several else "NAME"
        hint = f"say which with --column {column}={fields}"
        if any(f.cube for each in found for f in each):
            hint += f", or a cube's with {option(self.source)}"
        elif column not in NEEDED:
            hint += f", or --without {column}"
        message = f"{column} could be any of {named}"
        return problem_of(self.source, message, "ambiguous-column", hint)

    def _lacking(self, column: str) -> Problem:
        chosen = self.choices.names.get(column)
        message = (
            f"no field is {column!r}"
            if chosen is None
            else f"--column {column}={chosen} names no field"
        )
        partly = incomplete(self.here, self.bands) if column == "mag" and chosen is None else []
        if partly:
            hint = (
                f"the bands {listed_bands(self.bands)} are needed; give --column mag=a,b,c,…, or "
                "--bands with the existing ones, for a model of your own"
            )
            return problem_of(self.source, f"{message}: {'; '.join(partly)}", "no-band", hint)
        return problem_of(self.source, message, "no-column", self._way_to(column))

    def _way_to(self, column: str) -> str:
        """Where a column that this table lacks may be."""
        fields = self.source.fields
        named = series(self.columns, self.bands) if column == "mag" else []
        if named:
            return f"say --column mag={' or --column mag='.join(named[:SHOWN_SERIES])}"
        elsewhere = [key for key, f in fields.items() if f.name.casefold() in NAMES[column]]
        hint = f"it has {listed(fields) or 'no fields'}; say --column "
        if not elsewhere:
            return f"{hint}ours=theirs"
        return f"{hint}{column}={elsewhere[0]} if its rows are the same objects"


def wanted(choices: Choices) -> list[str]:
    """The columns that are looked for."""
    left_out = {*choices.without, *(["object_id"] if choices.number_objects else [])}
    return [name for name in COLUMNS if name not in left_out]


def option(source: Source) -> str:
    """What chooses one of a file's places."""
    return "--group NAME" if source.format == "hdf5" else "--hdu NAME or --hdu NUMBER"


def listed(names: Iterable[str] | Mapping[str, Field], between: str = ", ") -> str:
    """Names for people, the first of them."""
    shown = list(names)
    more = f" and {len(shown) - SHOWN_NAMES} more" if len(shown) > SHOWN_NAMES else ""
    return between.join(shown[:SHOWN_NAMES]) + more
