"""Settings of the functions: read from the environment once, checked, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cosmic.contracts.engines import AUTO_ENGINE, ENGINES, Architecture, EngineName
from cosmic.contracts.plan import Limits


class InitSettings(BaseModel):
    """What `init` must know about its deployment.

    Read with `from_environment`, which raises `pydantic.ValidationError` for a variable that is
    missing or wrong.
    """

    model_config = ConfigDict(frozen=True)

    state_machine_arn: str = Field(alias="COSMIC_STATE_MACHINE_ARN", min_length=1)
    infer_memory_mb: int = Field(alias="COSMIC_INFER_MEMORY_MB", ge=128)
    max_world_size: int = Field(alias="COSMIC_MAX_WORLD_SIZE", ge=1)
    infer_function: str = Field(alias="COSMIC_INFER_FUNCTION", min_length=1)
    channels: str = Field("", alias="COSMIC_FMI_CHANNELS")
    output_prefixes: str = Field("runs/", alias="COSMIC_OUTPUT_PREFIXES")
    engines: str = Field(AUTO_ENGINE, alias="COSMIC_ENGINES")
    architecture: Architecture = Field("x86_64", alias="COSMIC_INFER_ARCHITECTURE")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables named by the aliases."""
        return cls.model_validate(dict(environment))

    def limits(self, ranks_at_once: int) -> Limits:
        """The deployment's limits, as the planner takes them."""
        return Limits(
            world_size=ranks_at_once,
            memory_mb=self.infer_memory_mb,
            channels=_listed(self.channels),
            output_prefixes=_listed(self.output_prefixes),
            engines=cast("tuple[EngineName, ...]", _listed(self.engines)),
            architecture=self.architecture,
        )

    @field_validator("engines")
    @classmethod
    def _known(cls, text: str) -> str:
        unknown = sorted(set(_listed(text)) - set(ENGINES))
        if unknown or not _listed(text):
            raise ValueError(f"engines must be among {', '.join(ENGINES)}, got {text!r}")
        return text


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
