"""Which of a file's fields make up which columns of a native partition: never by a guess."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from cosmic.contracts.columns import BANDS, COLUMNS
from cosmic.data.pack.source import Field, Shape, Source
from cosmic.data.pack.units import WANTED, factor
from cosmic.errors import Problem

NEEDED = ("image", "mag")
NAMES = {
    "image": ("image", "images", "image_array", "image.flux", "cutout", "cutouts"),
    "mag": ("mag", "mags", "magnitude", "magnitudes"),
    "mag_err": ("mag_err", "magerr", "mag_error", "magnitude_error", "magnitude_errors"),
    "object_id": [
        "object_id",
        "object_ids",
        "objectid",
        "objid",
        "obj_id",
        "id",
        "targetid",
        "target_id",
        "source_id",
        "sourceid",
        "coadd_object_id",
    ],
    "ra": ["ra", "ra_deg", "radeg", "ra_j2000", "raj2000", "ra_icrs", "alpha_j2000"],
    "dec": [
        "dec",
        "dec_deg",
        "decdeg",
        "dec_j2000",
        "dej2000",
        "decj2000",
        "de_icrs",
        "dec_icrs",
        "delta_j2000",
    ],
    "z_spec": ["z_spec", "zspec", "spec_z", "specz", "z_sp", "redshift", "redshifts", "z"],
}
WEIGHTS = ("ivar", "invvar", "weight", "weights", "wht", "err", "error", "sigma", "rms", "var")
NOT_PIXELS = frozenset((*WEIGHTS, "variance", "mask", "dq", "flag", "flags", "psf"))
BAND_NAMES = ("image_band", "image.band", "image_bands")
MAGNITUDES_BESIDE_Z = frozenset("ugri")
SHOWN_NAMES = 12
KINDS = {"object_id": "iuSU"}
NUMBERS = "iuf"


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
    """

    names: Mapping[str, str] = field(default_factory=dict)
    image_scale: float | None = None
    number_objects: bool = False
    hdus: Sequence[str] = ()
    groups: Sequence[str] = ()
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Taken:
    """What a column is made of.

    Attributes:
        fields: One, or one a band.
        factor: What turns the file's numbers into the column's unit.
    """

    fields: tuple[Field, ...]
    factor: float = 1.0

    @property
    def where(self) -> str:
        """The fields' names and place, for people."""
        names = ", ".join(f.name for f in self.fields)
        return self.fields[0].where if len(self.fields) == 1 else names

    @property
    def unit(self) -> str:
        """What the file says."""
        return ", ".join(dict.fromkeys(f.unit for f in self.fields))


@dataclass(frozen=True)
class Mapped:
    """Which fields make up which columns.

    Attributes:
        taken: By column.
        bands: Names of the bands of `image`, rows first, if the file says them.
        problems: Everything that is in the way; the rest then is what was found all the same.
    """

    taken: Mapping[str, Taken]
    bands: Field | None = None
    problems: Sequence[Problem] = ()

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
        return Mapped({}, problems=[_problem(source, message, "ambiguous-table", hint)])
    return whole[0] if whole else max(tried, key=lambda m: len(m.taken))


def _option(source: Source) -> str:
    return "--group NAME" if source.format == "hdf5" else "--hdu NAME or --hdu NUMBER"


def _problem(
    source: Source, message: str, code: str, hint: str, value: str | None = None
) -> Problem:
    return Problem(str(source.path), message, value, hint, code)


def _chosen(source: Source, choices: Choices) -> tuple[list[Problem], list[Field]]:
    """The fields in the places that were chosen: of cubes and of tables, those named, else all."""
    fields = list(source.fields.values())
    words = {"fits": choices.hdus, "hdf5": choices.groups}.get(source.format, ())
    named = [f for f in fields if _is_named(f, words)]
    has = f"it has {_listed(dict.fromkeys(f.place or 'the root' for f in fields))}"
    problems = [
        _problem(source, f"nothing to read is named {word!r}", "not-found", has)
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
    for column in _wanted(choices):
        found = _candidates(source, here, column, choices)
        if len(found) == 1:
            factors = [_factor(column, f, choices) for f in found[0]]
            problems += _unfit(source, column, found[0], factors)
            taken[column] = Taken(found[0], factors[0] or 1.0)
        elif found:
            problems.append(_ambiguous(source, column, found))
            taken.update({column: Taken(found[0])} if column in NEEDED else {})
        elif column in (*NEEDED, *choices.names):
            problems.append(_lacking(source, column, choices))
    problems += _unequal(source, taken)
    bands = [f for f in here if f.name.casefold() in BAND_NAMES and not f.cube]
    bands = bands if "image" in taken and not taken["image"].fields[0].cube else []
    return Mapped(taken, bands[0] if bands else None, problems)


def _wanted(choices: Choices) -> list[str]:
    left_out = {*choices.without, *(["object_id"] if choices.number_objects else [])}
    return [name for name in COLUMNS if name not in left_out]


def _candidates(
    source: Source, here: list[Field], column: str, choices: Choices
) -> list[tuple[Field, ...]]:
    """All that a column could be: by its own name, else by the usual ones."""
    if column in choices.names:
        return _by_choice(source, here, choices.names[column])
    fields = [f for f in here if not f.cube]
    if column == "z_spec" and MAGNITUDES_BESIDE_Z & {f.name.casefold() for f in fields}:
        fields = [f for f in fields if f.name.casefold() != "z"]  # the magnitude in the z band
    cubes = [(f,) for f in here if f.cube] if column == "image" else []
    if len(cubes) == 1 and cubes[0][0].name.casefold() in NOT_PIXELS and not choices.hdus:
        cubes = []  # weights whose image lies elsewhere
    own = _spelled(fields, column)
    return cubes + (own or [f for name in NAMES[column] for f in _spelled(fields, name)])


def _spelled(fields: list[Field], name: str) -> list[tuple[Field, ...]]:
    """Fields of this name in capitals or not, and every set of five named `name_u` … `name_z`."""
    bands = [[f for f in fields if f.name.casefold() == f"{name}_{band}"] for band in BANDS]
    return [(f,) for f in fields if f.name.casefold() == name] + list(product(*bands))


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
    names = [Taken(each).where for each in found]
    hint = f"say which with --column {column}=NAME"
    if any(f.cube for each in found for f in each):
        hint += f", or a cube's with {_option(source)}"
    elif column not in NEEDED:
        hint += f", or --without {column}"
    return _problem(source, f"{column} could be any of {_listed(names)}", "ambiguous-column", hint)


def _lacking(source: Source, column: str, choices: Choices) -> Problem:
    if column in choices.names:
        message = f"--column {column}={choices.names[column]} names no field"
    else:
        message = f"no field is {column!r}"
    hint = f"it has {_listed(source.fields)}; say --column ours=theirs"
    return _problem(source, message, "no-column", hint)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - SHOWN_NAMES} more" if len(shown) > SHOWN_NAMES else ""
    return ", ".join(shown[:SHOWN_NAMES]) + more


def _factor(column: str, each: Field, choices: Choices) -> float | None:
    if column == "image" and choices.image_scale is not None:
        return choices.image_scale
    return factor(column, each.unit)


def _unfit(
    source: Source, column: str, fields: tuple[Field, ...], factors: list[float | None]
) -> list[Problem]:
    """Everything of a unit, a dtype or a shape that a column can't have."""
    problems = []
    way_out = (
        "give --image-scale"
        if column == "image"
        else f"convert it to {WANTED.get(column) or 'a plain number'}"
    )
    if column not in NEEDED:
        way_out += f", or leave it out with --without {column}"
    for each in (f for f, by in zip(fields, factors, strict=True) if by is None):
        what = "its pixels are" if column == "image" else f"{_called(column, each)} is"
        problems.append(_problem(source, f"{what} in {each.unit}", "bad-unit", way_out, each.unit))
    if len(set(factors) - {None}) > 1:
        units = ", ".join(f"{f.name} in {f.unit or 'no unit'}" for f in fields)
        problems.append(_problem(source, f"{column}'s bands differ: {units}", "bad-unit", way_out))
    for each in fields:
        if each.kind not in KINDS.get(column, NUMBERS) and each.rows:
            problems.append(_bad_kind(source, column, each))
    shape = fields[0].row_shape if len(fields) == 1 else (len(fields), *fields[0].row_shape)
    if fields[0].rows and not _fits(column, shape, fields[0]):
        problems.append(_bad_shape(source, column, shape, fields))
    return problems


def _called(column: str, each: Field) -> str:
    return each.where if each.name == column else f"{column} ({each.where})"


def _bad_kind(source: Source, column: str, each: Field) -> Problem:
    dtype = "text" if each.kind in "SU" else each.dtype
    if column == "object_id":
        hint = "give whole numbers or text, or --number-objects"
        return _problem(source, f"object_id is {each.dtype}", "bad-partition", hint, each.dtype)
    hint = "give numbers" + ("" if column in NEEDED else f", or --without {column}")
    message = f"{_called(column, each)} is {dtype}, not numbers"
    return _problem(source, message, "bad-partition", hint, each.dtype)


def _fits(column: str, shape: Shape, each: Field) -> bool:
    if column == "image":
        return image_layout(shape) is not None or len(shape) == 3
    wanted = COLUMNS[column].row_shape
    if None in shape or (not wanted and shape == (1,)):
        return True  # told by rows when they are read
    return shape == wanted or bool(each.bands and column in ("mag", "mag_err"))


def image_layout(shape: Shape) -> str | None:
    """How the axes of one row's image lie: `bands-first`, `bands-last`, `flat`, …; None: not known.

    Args:
        shape: Of one row; axes that aren't known are told when rows are read.
    """
    n, found = len(BANDS), None
    match shape:
        case _ if None in shape:
            found = "unknown"
        case (first, _, _) if first == n:
            found = "bands-first"
        case (_, _, last) if last == n:
            found = "bands-last"
        case (int(size),) if size and size % n == 0 and _is_square(size // n):
            found = "flat"
        case (first, int(pixels)) if first == n and _is_square(pixels):
            found = "flat-bands-first"
        case (int(pixels), last) if last == n and _is_square(pixels):
            found = "flat-bands-last"
    return found


def image_size(mapped: Mapped) -> tuple[int, int] | None:
    """Height and width of a file's images; None: not known before they are read."""
    shape = mapped.taken["image"].fields[0].row_shape
    layout, sizes = image_layout(shape), [n for n in shape if n is not None]
    if layout is None or len(sizes) < len(shape):
        return None
    if layout == "bands-last":
        return sizes[0], sizes[1]
    if layout == "bands-first":
        return sizes[1], sizes[2]
    side = math.isqrt(math.prod(sizes) // len(BANDS))
    return side, side


def _is_square(pixels: int) -> bool:
    return math.isqrt(pixels) ** 2 == pixels


def _bad_shape(source: Source, column: str, shape: Shape, fields: tuple[Field, ...]) -> Problem:
    wanted = {"image": f"({len(BANDS)}, height, width)", "mag": f"({len(BANDS)},)"}
    wanted["mag_err"] = wanted["mag"]
    names = _called(column, fields[0]) if len(fields) == 1 else f"{column} ({Taken(fields).where})"
    message = f"{names} has shape {list(shape)} a row"
    hint = f"it takes {wanted.get(column, 'one number')} a row"
    if column in ("mag", "mag_err"):
        hint += f"; five fields are named with commas, --column {column}=a,b,c,d,e"
    return _problem(source, message, "bad-partition", hint)


def _unequal(source: Source, taken: Mapping[str, Taken]) -> list[Problem]:
    lengths = {f.where: f.rows for each in taken.values() for f in each.fields}
    if len(set(lengths.values())) < 2:
        return []
    said = ", ".join(f"{where} {rows:,}" for where, rows in lengths.items())
    return [
        _problem(
            source, f"columns differ in length: {said} rows", "bad-partition", "one row an object"
        )
    ]
