"""Two runs side by side: quality, flags, time and cost, from what each says in `metrics.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic.contracts.flags import Flag
from cosmic.errors import InputError

METRICS_FILE = "metrics.json"
FIGURES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("rows", "", ("run", "rows")),
    ("objects with z_spec", "", ("photo_z", "n")),
    ("sigma_nmad", "dz", ("photo_z", "sigma_nmad")),
    ("bias_mean", "dz", ("photo_z", "pasquet", "bias_mean")),
    ("bias_median", "dz", ("photo_z", "rail", "bias_median")),
    ("outliers_0.05", "share", ("photo_z", "pasquet", "outliers_0.05")),
    ("outliers_0.15", "share", ("photo_z", "pasquet", "outliers_0.15")),
    ("r2", "", ("photo_z", "r2")),
    ("coverage_68", "share", ("pz", "coverage", "68")),
    ("crps", "redshift", ("pz", "crps")),
    ("cde_loss", "", ("pz", "cde_loss")),
    ("duration", "s", ("run", "wall_s")),
    ("ranks", "", ("run", "world_size")),
    ("cost", "USD", ("bill", "usd")),
    ("cost per million rows", "USD", ("bill", "usd_per_million_rows")),
)


@dataclass(frozen=True)
class Compared:
    """One figure of two runs.

    Attributes:
        name: As in `metrics.json`, if it comes from there.
        unit: Empty for counts and for numbers without one.
        first, second: Of the runs; None where a run has none.
        difference: Second less first; None where one is missing.
    """

    name: str
    unit: str
    first: float | None
    second: float | None

    @property
    def difference(self) -> float | None:
        """Second less first; None where one is missing."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Compared]:
    """Compare two runs by their `metrics.json`.

    Args:
        first, second: The documents, as `Run.metrics()` and `read_metrics` give them.

    Returns:
        The figures of `FIGURES`, then how many objects have each flag.
    """
    flags = [(f"flag {flag.name}", "", ("flags", flag.name or "")) for flag in Flag]
    return [
        Compared(name, unit, _number(first, path), _number(second, path))
        for name, unit, path in (*FIGURES, *flags)
    ]


def read_metrics(path: Path | str) -> dict[str, Any]:
    """The `metrics.json` of a run's results on this machine.

    Args:
        path: The file, or the folder that has it.

    Raises:
        InputError: there is none, or it is not the metrics of a run.
    """
    file = Path(path) / METRICS_FILE if Path(path).is_dir() else Path(path)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        hint = f"give a run's folder, or its {METRICS_FILE}"
        raise InputError(f"{file}: {error.strerror}", code="not-found", hint=hint) from error
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}", code="bad-metrics") from error
    if not isinstance(found, dict) or "photo_z" not in found:
        hint = f"give the {METRICS_FILE} of a run"
        raise InputError(f"{file} is not the metrics of a run", code="bad-metrics", hint=hint)
    return found


def _number(document: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, int | float) else None
