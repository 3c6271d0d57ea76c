"""Which of a file's fields make up which columns of a native partition, in one of its places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cosmic.data.pack.arrays import NPY, images_of
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.mapping import Table, listed, option, wanted
from cosmic.data.pack.names import BAND_NAMES, NAMES
from cosmic.data.pack.source import Field, Joined, Source
from cosmic.data.pack.taken import Mapped, Taken
from cosmic.data.pack.unfit import NEEDED, problem_of, unequal
from cosmic.errors import InputError, Problem


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
        hint = f"say which with {option(source)}"
        message = f"{len(whole)} tables have the columns: {', '.join(named)}"
        return Mapped({}, problems=[problem_of(source, message, "ambiguous-table", hint)])
    return whole[0] if whole else max(tried, key=lambda m: len(m.taken))


def _chosen(source: Source, choices: Choices) -> tuple[list[Problem], list[Field]]:
    """The fields in the places that were chosen: of cubes and of tables, those named, else all."""
    fields = list(source.fields.values())
    words = {"fits": choices.hdus, "hdf5": choices.groups}.get(source.format, ())
    named = [f for f in fields if _is_named(f, words)]
    has = f"it has {listed(dict.fromkeys(f.place or 'the root' for f in fields))}"
    problems = [
        problem_of(source, f"there is nothing named {word!r} to read", "not-found", has)
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
    table = Table(source, [f for f in fields if f.cube or f.place == place], choices)
    joined = None
    if choices.cutouts is not None:
        joined, problems = _joined(table, choices.cutouts)
        table = Table(source, [*table.columns, *([joined.field] if joined else [])], choices)
        table.problems += problems
    for column in wanted(choices):
        table.find(column)
    taken = table.taken
    table.problems += unequal(source, [f for t in taken.values() for f in t.fields])
    bands = _named_by_row(table.columns, taken)
    cutouts = (joined.used, joined.lacking) if joined else (frozenset[Path](), 0)
    return Mapped(
        taken,
        bands[0] if bands else None,
        table.problems,
        cutouts,
        _masks(table),
        choices.wanted_bands,
    )


def _named_by_row(columns: list[Field], taken: Mapping[str, Taken]) -> list[Field]:
    """Fields that name the bands of each row's image."""
    image = taken["image"].fields[0] if "image" in taken else None
    if image is None or image.cube:
        return []
    return [f for f in columns if f.name.casefold() in BAND_NAMES and f.rows == image.rows]


def _masks(table: Table) -> tuple[str, ...]:
    """Names of booleans that have the shape of the images or the magnitudes."""
    shapes = {table.taken[name].fields[0].row_shape for name in NEEDED if name in table.taken}
    return tuple(f.name for f in table.columns if f.kind == "b" and f.row_shape in shapes - {()})


def _joined(table: Table, cutouts: Path) -> tuple[Joined | None, list[Problem]]:
    """The images that lie beside a catalogue."""
    from cosmic.data.pack.cutouts import join

    if cutouts.suffix.lower() == NPY:
        return Joined(images_of(cutouts), frozenset([cutouts]), 0), []
    source, named = table.source, table.choices.cutout_name
    found = table.by_choice(named) if named else table.candidates("object_id")
    if len(found) != 1:
        what = f"{len(found)} fields are" if found else "no field is"
        name = repr(named) if named else "object_id"
        hint = f"it has {listed(source.fields)}; say --cutout-name COLUMN"
        message = f"cutouts are found by {name}, and {what} that"
        return None, [problem_of(source, message, "no-column", hint)]
    try:
        return join(found[0][0], cutouts, table.bands, table.choices.cutout_hdus), []
    except InputError as error:
        return None, [problem_of(source, error.message, error.code, error.hint)]
