"""`metrics.json`: what readers rely on of it; all else is for people and may grow."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Run(_Part):
    cold_starts: int
    retries: int
    wall_s: float
    rows_per_wall_s: float
    rows_per_compute_s: float
    peak_memory_mb: int


class _Bill(_Part):
    usd: float
    usd_per_million_rows: float | None
    lines: list[dict[str, Any]]


class _Pasquet(_Part):
    bias_mean: float
    outliers: float = Field(alias="outliers_0.05")


class _PhotoZ(_Part):
    n: int = Field(ge=0)
    left_out: dict[str, int] = Field(default_factory=dict)
    r2: float | None = None
    sigma_nmad: float | None = None
    pasquet: _Pasquet | None = None

    @model_validator(mode="after")
    def _whole(self) -> _PhotoZ:
        if self.n and None in (self.sigma_nmad, self.pasquet):
            raise ValueError("sigma_nmad and pasquet belong to a sample that has objects")
        return self


class _Domain(_Part):
    known: bool
    outside: int | None
    share: float | None


class _Metrics(_Part):
    run: _Run
    bill: _Bill
    photo_z: _PhotoZ
    domain: _Domain | None = None


_ADAPTER = TypeAdapter(_Metrics)


def parse_metrics(text: bytes) -> dict[str, Any]:
    """Read what `aggregate` wrote.

    Returns:
        The document, whole.

    Raises:
        pydantic.ValidationError: it lacks what readers rely on.
    """
    _ADAPTER.validate_json(text)
    found: dict[str, Any] = json.loads(text)
    return found
