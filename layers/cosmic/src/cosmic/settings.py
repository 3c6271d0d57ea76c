"""Settings of the functions: read from the environment once, checked, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from cosmic.plan import Limits


class InitSettings(BaseModel):
    """What `init` must know of its deployment.

    Read with `from_environment`, which raises `pydantic.ValidationError` for a variable that is
    missing or wrong.
    """

    model_config = ConfigDict(frozen=True)

    state_machine_arn: str = Field(alias="COSMIC_STATE_MACHINE_ARN", min_length=1)
    infer_memory_mb: int = Field(alias="COSMIC_INFER_MEMORY_MB", ge=128)
    max_world_size: int = Field(alias="COSMIC_MAX_WORLD_SIZE", ge=1)
    channels: str = Field("", alias="COSMIC_FMI_CHANNELS")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables named by the aliases."""
        return cls.model_validate(dict(environment))

    @property
    def limits(self) -> Limits:
        """The deployment's limits, as the planner takes them."""
        names = tuple(c.strip() for c in self.channels.split(",") if c.strip())
        return Limits(
            world_size=self.max_world_size, memory_mb=self.infer_memory_mb, channels=names
        )
