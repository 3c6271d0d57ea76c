"""Fields by the names of columns and of measurements, in capitals or not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

from cosmic.contracts.bands import Bands
from cosmic.data.pack.names import NAMED_BY_US, NAMES, PHOTOMETRY, Photometry
from cosmic.data.pack.source import Field

DEREDDENED = "dered"
BETWEEN_WORDS = str.maketrans(".- ", "___")
OF_ERRORS = ("err", "ivar", "sigma", "flag", "ext", "nobs")
LEAST_BANDS = 2  # one of a name alone may be anything


def usually_named(fields: list[Field], column: str, bands: Bands) -> list[tuple[Field, ...]]:
    """By all names but the column's own."""
    return [found for name in NAMES[column] for found in spelled(fields, name, bands)]


def all_magnitudes(fields: list[Field], bands: Bands) -> list[tuple[Field, ...]]:
    """Every measurement in all bands, of magnitudes and of fluxes."""
    named = [found for each in PHOTOMETRY for found in in_spelling(fields, each.values, bands)]
    return usually_named(fields, "mag", bands) + named


def errors_of(fields: list[Field], measured: Photometry, bands: Bands) -> list[tuple[Field, ...]]:
    """What could be the errors of a measurement, by its names."""
    return [found for name in measured.uncertainties for found in in_spelling(fields, name, bands)]


def other_errors(
    fields: list[Field], measured: Photometry, bands: Bands
) -> list[tuple[Field, ...]]:
    """Errors by a column's usual names, unless these belong to other magnitudes."""
    ours = [each for each in NAMED_BY_US if in_spelling(fields, each.values, bands)]
    if ours and measured not in NAMED_BY_US:
        return []
    return spelled(fields, "mag_err", bands) or usually_named(fields, "mag_err", bands)


def spelled(fields: list[Field], name: str, bands: Bands) -> list[tuple[Field, ...]]:
    """Fields of this name in capitals or not, and every set named `name_u` … `name_z`."""
    return in_spelling(fields, name, bands) + in_spelling(fields, f"{name}_{{}}", bands)


def in_spelling(fields: list[Field], name: str, bands: Bands) -> list[tuple[Field, ...]]:
    """Fields of this name; where it has a place for the band, every set of one a band."""
    if "{}" not in name:
        return [(f,) for f in fields if folded(f.name) == folded(name)]
    names = [folded(name.format(band)) for band in bands]
    return list(product(*[[f for f in fields if folded(f.name) == n] for n in names]))


@lru_cache(maxsize=1 << 14)
def folded(name: str) -> str:
    """A name in small letters, and whatever is between its words as `_`: `modelMag.u` is
    `modelmag_u`."""
    return name.casefold().translate(BETWEEN_WORDS)


def measurement_of(fields: Sequence[Field], bands: Bands) -> Photometry | None:
    """The measurement whose magnitudes or fluxes these are by their names."""
    for each in (*NAMED_BY_US, *PHOTOMETRY):
        if any(
            len(found) == len(fields) for found in in_spelling(list(fields), each.values, bands)
        ):
            return each
    return None


def corrected_for_extinction(fields: Sequence[Field], bands: Bands) -> bool | None:
    """Whether magnitudes or fluxes are, by their names; None: these don't tell."""
    measured = measurement_of(fields, bands)
    if measured is None or measured in NAMED_BY_US:
        return None
    return DEREDDENED in measured.values


def errors_beside(
    fields: list[Field], values: Sequence[Field], bands: Bands
) -> list[tuple[Field, ...]]:
    """What could be the errors of the magnitudes or fluxes that were taken."""
    measured = measurement_of(values, bands)
    return errors_of(fields, measured, bands) if measured else []


def series(here: list[Field], bands: Bands) -> list[str]:
    """Numbers whose names, joined by commas, differ in the band alone: what magnitudes of a name
    that nobody knows may be."""
    names = {f.name for f in here if not f.cube and f.kind in "iuf" and not f.row_shape}
    first = bands[0]
    found = []
    for name in sorted(names):
        for at in range(len(name) - len(first) + 1):
            spelled = name[at : at + len(first)]
            case = next((c for c in (str, str.upper) if c(first) == spelled), None)
            each = [name[:at] + case(b) + name[at + len(first) :] for b in bands] if case else []
            is_error = any(word in name.casefold() for word in OF_ERRORS)
            if each and names.issuperset(each) and not is_error:
                found.append(",".join(each))
    return found


def incomplete(here: list[Field], bands: Bands) -> list[str]:
    """Magnitudes and fluxes that are there in some bands only, and which bands they lack."""
    names = {folded(f.name): f.name for f in here if not f.cube}
    found = []
    for each in (*NAMED_BY_US, *PHOTOMETRY):
        if "{}" not in each.values:
            continue
        spelled = {band: folded(each.values.format(band)) for band in bands}
        lacking = [band for band, name in spelled.items() if name not in names]
        if len(bands) > len(bands) - len(lacking) >= LEAST_BANDS:
            there = ", ".join(names[name] for name in spelled.values() if name in names)
            found.append(f"{there} lack {', '.join(lacking)}")
    return found
