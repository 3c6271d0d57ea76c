"""Which of a file's fields make up which columns of a native partition: never by a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from cosmic.contracts.columns import BANDS, COLUMNS
from cosmic.data.pack.arrays import NPY, images_of
from cosmic.data.pack.fluxes import Fluxes, in_five_bands
from cosmic.data.pack.layout import image_shape
from cosmic.data.pack.matching import (
    all_magnitudes,
    errors_beside,
    errors_of,
    in_spelling,
    incomplete,
    measurement_of,
    other_errors,
    spelled,
    usually_named,
)
from cosmic.data.pack.names import (
    BAND_NAMES,
    MAGNITUDES_BESIDE_Z,
    NAMES,
    NOT_PIXELS,
    Photometry,
)
from cosmic.data.pack.source import Field, Joined, Source, where_of
from cosmic.data.pack.unfit import NEEDED, problem_of, unequal, unfit
from cosmic.data.pack.units import factor, nanomaggies
from cosmic.errors import InputError, Problem

SHOWN_NAMES = 12


@dataclass(frozen=True)
class Choices:
    """What a person says of a file that does not say it itself.

    Attributes:
        names: Column to the file's own name for it; five names with commas are five bands.
        image_scale: Nanomaggies of one unit of the file's pixels; None: they are nanomaggies.
        number_objects: Whether objects are numbered by row, their ids not taken.
        hdus: Names or numbers of the HDUs of FITS files that are read.
        groups: Names of the groups or datasets of HDF5 files that are read.
        without: Columns that are not taken although a file may have them.
        cutouts: Folder of one FITS file an object, or a `.npy` file of all images in the
            catalogue's order; None: images are in the files.
        cutout_name: The files' own name for the field that names an object's cutout; empty: ids do.
        cutout_hdus: Which HDU of a cutout is its image, or which five are its bands.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    image_scale: float | None = None
    number_objects: bool = False
    hdus: Sequence[str] = ()
    groups: Sequence[str] = ()
    without: Sequence[str] = ()
    cutouts: Path | None = None
    cutout_name: str = ""
    cutout_hdus: Sequence[str] = ()


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
        problems: Everything that is in the way; the rest then is what was found all the same.
        cutouts: Files that are an object's, and how many objects have none.
    """

    taken: Mapping[str, Taken]
    bands: Field | None = None
    problems: Sequence[Problem] = ()
    cutouts: tuple[frozenset[Path], int] = (frozenset(), 0)

    @property
    def rows(self) -> int:
        """Of every field that is taken."""
        return self.taken["image"].fields[0].rows


def map_columns(source: Source, choices: Choices) -> Mapped:
    """Find a file's columns in one of its places, or say everything that is in the way."""
    lost, fields = _chosen(source, choices)
    if lost:
        return Mapped({}, problems=lost)
    places = list(dict.fromkeys(f.place for f in fields if not f.cube)) or [""]
    tried = [_in_place(source, fields, place, choices) for place in places]
    whole = [m for m in tried if all(name in m.taken for name in NEEDED)]
    if len(whole) > 1:
        named = [place for place, m in zip(places, tried, strict=True) if m in whole]
        hint = f"say which with {_option(source)}"
        message = f"{len(whole)} tables have the columns: {', '.join(named)}"
        return Mapped({}, problems=[problem_of(source, message, "ambiguous-table", hint)])
    return whole[0] if whole else max(tried, key=lambda m: len(m.taken))


def _option(source: Source) -> str:
    return "--group NAME" if source.format == "hdf5" else "--hdu NAME or --hdu NUMBER"


def _chosen(source: Source, choices: Choices) -> tuple[list[Problem], list[Field]]:
    """The fields in the places that were chosen: of cubes and of tables, those named, else all."""
    fields = list(source.fields.values())
    words = {"fits": choices.hdus, "hdf5": choices.groups}.get(source.format, ())
    named = [f for f in fields if _is_named(f, words)]
    has = f"it has {_listed(dict.fromkeys(f.place or 'the root' for f in fields))}"
    problems = [
        problem_of(source, f"nothing to read is named {word!r}", "not-found", has)
        for word in words
        if not any(_is_named(f, [word]) for f in fields)
    ]
    cubes, tables = ([f for f in named if f.cube is is_cube] for is_cube in (True, False))

    def kept(each: Field) -> bool:
        if each.cube:
            return each in cubes or not cubes
        if cubes and each.name.casefold() in NAMES["image"]:
            return False  # who names a cube wants no other image
        return each in tables or not tables

    return problems, [f for f in fields if kept(f)]


def _is_named(each: Field, words: Iterable[str]) -> bool:
    known = {name.casefold() for name in each.place_names}
    return any(word.casefold() in known for word in words)


def _in_place(source: Source, fields: list[Field], place: str, choices: Choices) -> Mapped:
    """The columns of one table, with cubes beside it."""
    here = [f for f in fields if f.cube or f.place == place]
    problems: list[Problem] = []
    taken: dict[str, Taken] = {}
    joined = None
    if choices.cutouts is not None:
        joined, problems = _joined(source, here, choices, choices.cutouts)
        here = [*(f for f in here if not f.cube), *([joined.field] if joined else [])]
    for column in _wanted(choices):
        found = _candidates(source, here, column, choices, taken)
        if len(found) == 1:
            taken[column], unfits = _taken(source, here, column, found[0], choices, taken)
            problems += unfits
        elif found:
            problems.append(_ambiguous(source, column, found))
            taken.update({column: Taken(found[0])} if column in NEEDED else {})
        elif column in (*NEEDED, *choices.names) and not (column == "image" and problems):
            problems.append(_lacking(source, here, column, choices))
    problems += unequal(source, [f for t in taken.values() for f in t.fields])
    bands = [f for f in here if f.name.casefold() in BAND_NAMES and not f.cube]
    bands = bands if "image" in taken and not taken["image"].fields[0].cube else []
    cutouts = (joined.used, joined.lacking) if joined else (frozenset[Path](), 0)
    return Mapped(taken, bands[0] if bands else None, problems, cutouts)


def _joined(
    source: Source, here: list[Field], choices: Choices, cutouts: Path
) -> tuple[Joined | None, list[Problem]]:
    """The images that lie beside a catalogue."""
    from cosmic.data.pack.cutouts import join

    if cutouts.suffix.lower() == NPY:
        return Joined(images_of(cutouts), frozenset([cutouts]), 0), []
    if choices.cutout_name:
        found = _by_choice(source, here, choices.cutout_name)
    else:
        found = _candidates(source, here, "object_id", choices, {})
    if len(found) != 1:
        what = f"{len(found)} fields are" if found else "no field is"
        name = repr(choices.cutout_name) if choices.cutout_name else "object_id"
        hint = f"it has {_listed(source.fields)}; say --cutout-name COLUMN"
        message = f"cutouts are found by {name}, and {what} that"
        return None, [problem_of(source, message, "no-column", hint)]
    try:
        return join(found[0][0], cutouts, choices.cutout_hdus), []
    except InputError as error:
        return None, [problem_of(source, error.message, error.code, error.hint)]


def _wanted(choices: Choices) -> list[str]:
    left_out = {*choices.without, *(["object_id"] if choices.number_objects else [])}
    return [name for name in COLUMNS if name not in left_out]


def _candidates(
    source: Source,
    here: list[Field],
    column: str,
    choices: Choices,
    taken: Mapping[str, Taken],
) -> list[tuple[Field, ...]]:
    """All that a column could be: by its own name, else by the usual ones."""
    if column == "image" and choices.cutouts is not None:
        return [(f,) for f in here if f.cube]
    if column in choices.names:
        return _by_choice(source, here, choices.names[column])
    fields = [f for f in here if not f.cube]
    if column == "z_spec":
        fields = _not_magnitudes(fields, taken)
    cubes = [(f,) for f in here if f.cube] if column == "image" else []
    if len(cubes) == 1 and cubes[0][0].name.casefold() in NOT_PIXELS and not choices.hdus:
        cubes = []  # weights whose image lies elsewhere
    if column == "mag":
        return in_spelling(fields, column) or all_magnitudes(fields)
    if column == "mag_err" and "mag" in taken and (of := measurement_of(taken["mag"].fields)):
        return errors_of(fields, of) or other_errors(fields, of)
    return cubes + (spelled(fields, column) or usually_named(fields, column))


def _not_magnitudes(fields: list[Field], taken: Mapping[str, Taken]) -> list[Field]:
    """Without a `z` that is the magnitude in the z band."""
    magnitudes = [f for name in ("mag", "mag_err") if name in taken for f in taken[name].fields]
    beside = MAGNITUDES_BESIDE_Z & {f.name.casefold() for f in fields}
    return [
        f
        for f in fields
        if not (beside and f.name.casefold() == "z") and not any(f is m for m in magnitudes)
    ]


def _taken(
    source: Source,
    here: list[Field],
    column: str,
    fields: tuple[Field, ...],
    choices: Choices,
    taken: Mapping[str, Taken],
) -> tuple[Taken, list[Problem]]:
    """What a column is made of, and what keeps its fields from being it."""
    if column == "mag" and in_five_bands(fields) and (measured := _as_fluxes(fields, choices)):
        return _of_fluxes(source, fields, _flux_errors(source, here, fields, choices), measured)
    fluxes = taken["mag"].fluxes if column == "mag_err" and "mag" in taken else None
    if fluxes is not None and fields == fluxes.errors:
        return Taken(fields, fluxes.error_factor, fluxes), []
    factors = [_factor(column, f, choices) for f in fields]
    problems = unfit(source, column, fields, factors)
    if column in ("mag", "mag_err"):
        problems += _unsaid_fluxes(source, column, fields)
    return Taken(fields, factors[0] or 1.0), problems


def _flux_errors(
    source: Source, here: list[Field], fluxes: tuple[Field, ...], choices: Choices
) -> tuple[Field, ...]:
    """What says how sure the fluxes are: what was chosen, or what lies beside them."""
    beside = errors_beside([f for f in here if not f.cube], fluxes)
    if "mag_err" in choices.names:
        chosen = _by_choice(source, here, choices.names["mag_err"])
        beside = [found for found in chosen if found in beside]
    return next(iter(beside), ())


def _as_fluxes(fields: tuple[Field, ...], choices: Choices) -> Photometry | None:
    """The measurement whose fluxes these are: by their names, or chosen and by their units."""
    measured = measurement_of(fields)
    if measured is not None and measured.unit:
        return measured
    chosen = "mag" in choices.names and all(f.unit and nanomaggies(f.unit) for f in fields)
    return Photometry("", unit=fields[0].unit) if chosen else None


def _unsaid_fluxes(source: Source, column: str, fields: Sequence[Field]) -> list[Problem]:
    """Chosen fields that are fluxes by their names, in a unit that nothing says."""
    names = [f.name for f in fields if not f.unit]
    fluxes = [n for n in names if "flux" in n.casefold() and "mag" not in n.casefold()]
    if not fluxes:
        return []
    hint = "say their unit in the file, or convert them to magnitudes"
    message = f"{column} ({', '.join(fluxes)}) is fluxes by name, without a unit"
    return [problem_of(source, message, "bad-unit", hint)]


def _of_fluxes(
    source: Source, values: tuple[Field, ...], errors: tuple[Field, ...], measured: Photometry
) -> tuple[Taken, list[Problem]]:
    """Magnitudes that are computed from fluxes."""
    inverse = any(in_spelling(list(errors), name) for name in measured.inverse_variances)
    unit = values[0].unit or measured.unit
    factors = [nanomaggies(f.unit or measured.unit) for f in values]
    of_errors = [
        nanomaggies(f.unit, inverse_variance=inverse) if f.unit else nanomaggies(unit)
        for f in errors
    ]
    problems = unfit(source, "mag", values, factors)
    problems += unfit(source, "mag_err", errors, of_errors) if errors else []
    error_factor = of_errors[0] if errors else None
    fluxes = Fluxes(values, errors, factors[0] or 1.0, error_factor or 1.0, inverse, unit)
    return Taken(values, fluxes.factor, fluxes), problems


def _by_choice(source: Source, here: list[Field], said: str) -> list[tuple[Field, ...]]:
    """What a person named: a field of this place, or of another as `place/name`."""
    parts = said.split(",")
    if len(parts) > 1 and not any(f.name == said for f in here):
        each = [_by_choice(source, here, part.strip()) for part in parts]
        return [tuple(f for (f,) in found) for found in product(*each)]
    by_key = [source.fields[said]] if said in source.fields else []
    return [
        (f,)
        for f in [f for f in here if f.name == said]
        or by_key
        or [f for f in here if f.name.casefold() == said.casefold()]
    ]


def _ambiguous(source: Source, column: str, found: list[tuple[Field, ...]]) -> Problem:
    names = [where_of(each) for each in found]
    hint = f"say which with --column {column}=NAME"
    if any(f.cube for each in found for f in each):
        hint += f", or a cube's with {_option(source)}"
    elif column not in NEEDED:
        hint += f", or --without {column}"
    return problem_of(
        source, f"{column} could be any of {_listed(names)}", "ambiguous-column", hint
    )


def _lacking(source: Source, here: list[Field], column: str, choices: Choices) -> Problem:
    if column in choices.names:
        message = f"--column {column}={choices.names[column]} names no field"
    else:
        message = f"no field is {column!r}"
    partly = incomplete(here) if column == "mag" and column not in choices.names else []
    if partly:
        hint = f"the bands {', '.join(BANDS)} are needed; say --column mag=a,b,c,d,e"
        return problem_of(source, f"{message}: {'; '.join(partly)}", "no-band", hint)
    hint = f"it has {_listed(source.fields)}; say --column ours=theirs"
    return problem_of(source, message, "no-column", hint)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - SHOWN_NAMES} more" if len(shown) > SHOWN_NAMES else ""
    return ", ".join(shown[:SHOWN_NAMES]) + more


def _factor(column: str, each: Field, choices: Choices) -> float | None:
    if column == "image" and choices.image_scale is not None:
        return choices.image_scale
    return factor(column, each.unit)


def image_size(mapped: Mapped) -> tuple[int, int] | None:
    """Height and width of a file's images; None: not known before they are read."""
    return image_shape(mapped.taken["image"].fields[0].row_shape)
