"""Fields that are fluxes: by which measurement, in which unit, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cosmic.contracts.bands import Bands
from cosmic.data.pack.fluxes import Fluxes
from cosmic.data.pack.matching import in_spelling, measurement_of
from cosmic.data.pack.names import Photometry
from cosmic.data.pack.source import Field, Source
from cosmic.data.pack.unfit import problem_of, unfit
from cosmic.data.pack.units import nanomaggies
from cosmic.errors import Problem


@dataclass(frozen=True)
class FluxColumns:
    """Fields of fluxes, one of all bands or one a band.

    Attributes:
        values: The fields.
        measured: How their measurement is named, and in which unit it is if the file is silent.
        bands: That are taken, in order.
    """

    values: tuple[Field, ...]
    measured: Photometry
    bands: Bands

    @classmethod
    def of(cls, fields: tuple[Field, ...], bands: Bands, *, chosen: bool) -> FluxColumns | None:
        """Fields as fluxes: by their names, or chosen and by their units; None: they are none."""
        measured = measurement_of(fields, bands)
        if measured is not None and measured.unit:
            return cls(fields, measured, bands)
        if chosen and all(f.unit and nanomaggies(f.unit) for f in fields):
            return cls(fields, Photometry("", unit=fields[0].unit), bands)
        return None

    @property
    def _unit(self) -> str:
        return self.values[0].unit or self.measured.unit

    def with_errors(self, errors: tuple[Field, ...]) -> Fluxes:
        """The fluxes with what says how sure they are; what has no known unit counts as it is."""
        factor = self._factors(self.values)[0] or 1.0
        error_factor = (self._error_factors(errors)[0] if errors else None) or 1.0
        inverse = self._is_inverse_variance(errors)
        return Fluxes(self.values, errors, factor, error_factor, inverse, self._unit, self.bands)

    def problems(self, source: Source, made: Fluxes) -> list[Problem]:
        """What keeps the fields from being fluxes, or their errors."""
        found = unfit(source, "mag", self.values, self._factors(self.values), self.bands)
        if made.errors:
            found += unfit(
                source, "mag_err", made.errors, self._error_factors(made.errors), self.bands
            )
        return found

    def _factors(self, fields: Sequence[Field]) -> list[float | None]:
        return [nanomaggies(f.unit or self.measured.unit) for f in fields]

    def _error_factors(self, errors: tuple[Field, ...]) -> list[float | None]:
        inverse = self._is_inverse_variance(errors)
        return [
            nanomaggies(f.unit, inverse_variance=inverse) if f.unit else nanomaggies(self._unit)
            for f in errors
        ]

    def _is_inverse_variance(self, errors: tuple[Field, ...]) -> bool:
        return any(
            in_spelling(list(errors), name, self.bands) for name in self.measured.inverse_variances
        )


def unsaid_fluxes(source: Source, column: str, fields: Sequence[Field]) -> list[Problem]:
    """Chosen fields that are fluxes by their names, in a unit that nothing says."""
    names = [f.name for f in fields if not f.unit]
    fluxes = [n for n in names if "flux" in n.casefold() and "mag" not in n.casefold()]
    if not fluxes:
        return []
    hint = "state their unit in the file, or convert them to magnitudes"
    message = f"{column} ({', '.join(fluxes)}) holds fluxes by its name, but has no unit"
    return [problem_of(source, message, "bad-unit", hint)]
