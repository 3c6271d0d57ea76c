"""What a field's unit means for a column: a factor, or that it can't be one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from cosmic.data.pack.bands import text_of

_MAGNITUDES = ("mag", "mags", "magnitude", "magnitudes", "abmag", "mag_ab", "mag(ab)", "ab")
_ASINH = ("asinhmag", "asinhmag(ab)", "luptitude", "luptitudes")
_DEGREES = ("deg", "degs", "degree", "degrees")
PLAIN: dict[str, tuple[str, ...]] = {
    "image": ("nanomaggy", "nanomaggies", "nmgy", "nmaggy"),
    "mag": (*_MAGNITUDES, *_ASINH),
    "mag_err": (*_MAGNITUDES, *_ASINH),
    "ra": (*_DEGREES, "degree_east", "degrees_east"),
    "dec": (*_DEGREES, "degree_north", "degrees_north"),
    "z_spec": ("1", "dimensionless", "unitless", "none", "redshift", "-", "--"),
}
HOURS = ("h", "hr", "hour", "hours", "hourangle")
DEGREES_PER_HOUR = 15.0
ZERO_POINT_JY = 3631.0
PLURAL = re.compile("nanomaggies|nanomaggy|nmaggies|nmaggy|nmgys|nmgy", re.IGNORECASE)
WRITTEN_OUT = {"maggies": "mgy", "microjy": "uJy", "nanojy": "nJy"}  # in small letters
UNIT_KEYS = ("unit", "units", "bunit", "tunit")
WANTED = {
    "image": "nanomaggy",
    "mag": "mag",
    "mag_err": "mag",
    "ra": "deg",
    "dec": "deg",
    "z_spec": "",
}


def factor(column: str, unit: str) -> float | None:
    """What turns values of a unit into the column's own; None: nothing does.

    A field without a unit is taken to be in the column's own.
    """
    if column not in WANTED or not unit:
        return 1.0
    said = "".join(unit.lower().split())
    if said in PLAIN[column]:
        return 1.0
    if column == "ra" and said in HOURS:
        return DEGREES_PER_HOUR
    if column == "image":
        return nanomaggies(unit)
    return _converted(unit, WANTED[column])


def _converted(unit: str, wanted: str) -> float | None:
    """By astropy, imported for units that have to be understood; a negative factor is none."""
    from astropy import units

    try:
        found = float(units.Unit(unit).to(units.Unit(wanted)))
    except (ValueError, TypeError, AttributeError):
        return None  # no unit that astropy knows, or of another quantity
    return found if found > 0 else None


def nanomaggies(unit: str, *, inverse_variance: bool = False) -> float | None:
    """Nanomaggies of one unit of flux density; None: it isn't one.

    A nanomaggy is 3.631 uJy: magnitude 22.5 in the AB system.

    Args:
        unit: Such as `nJy` or `nanomaggies`; of an inverse variance, such as `1/nanomaggy^2`.
        inverse_variance: Whether it is the unit of that; what is said is of its inverse root.
    """
    said = PLURAL.sub("nmgy", unit.strip())
    said = WRITTEN_OUT.get(said.casefold(), said)
    if said == "nmgy":
        return 1.0
    from astropy import units

    try:
        found = units.Unit(said)
        if not isinstance(found, units.UnitBase):
            return None  # such as mag(AB) or dex(nmgy): a logarithm of a flux density is none
        found = found**-0.5 if inverse_variance else found * _pixels(found)
        equal = units.zero_point_flux(ZERO_POINT_JY * units.Jy)
        return float(found.to(units.Unit("nmgy"), equivalencies=equal))
    except (ValueError, TypeError, AttributeError):
        return None


def _pixels(unit: Any) -> Any:
    """What takes `per pixel` away, for so are all pixels; else 1."""
    from astropy import units

    powers = dict(zip(unit.bases, unit.powers, strict=True))
    return units.pix if powers.get(units.pix) == -1 else units.dimensionless_unscaled


def said_unit(said: Mapping[str, Any]) -> str:
    """The unit among a field's attributes; of several, one a band, each once; empty: none."""
    values = {str(key).casefold(): value for key, value in said.items()}
    value = next((values[key] for key in UNIT_KEYS if key in values), None)
    if value is None or getattr(value, "shape", ()) is None:  # h5py's Empty has no shape
        return ""
    units = [text_of(each).strip() for each in np.ravel(np.asarray(value))]
    return ", ".join(dict.fromkeys(units))


def astropy_units(lines: Sequence[str]) -> dict[str, str]:
    """Units by column in the header that astropy keeps beside the tables that it writes."""
    return {c["name"]: str(c["unit"]) for c in _header(lines)["datatype"] if c.get("unit")}


def astropy_meta(lines: Sequence[str]) -> dict[str, Any]:
    """What this header says of the whole table, such as its bands."""
    return dict(_header(lines).get("meta") or {})


def _header(lines: Sequence[str]) -> dict[str, Any]:
    from astropy.table.meta import get_header_from_yaml

    found: dict[str, Any] = get_header_from_yaml(list(lines))
    return found


def votable_units(document: bytes) -> dict[str, str]:
    """Units by column in the VOTable that STILTS and others keep in a Parquet file."""
    from astropy.io import votable

    table = votable.parse(BytesIO(document), verify="ignore").get_first_table()
    return {f.name: str(f.unit) for f in table.fields if f.unit}
