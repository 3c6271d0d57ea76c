"""One call that makes a communicator of the published kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmi import Communicator

CONFIG_PATHS = (
    "fmi.json",
    "/tmp/Anomaly Detection/config/fmi.json",  # noqa: S108 - where published programs put it
)
COMM_NAME = "fmi_pair"
FAAS_MEMORY_MB = 512


def fmi_communicator(
    data: Mapping[str, Any] | int | None = None,
    rank: int | None = None,
    *,
    world_size: int | None = None,
) -> Communicator:
    """Return a communicator from `fmi.json` in the working folder, or where CAI keeps it.

    Args:
        data: an event with `world_size` and `rank`; or the number of peers.
        rank: this peer, if `data` isn't an event.
        world_size: the number of peers by name.

    Raises:
        ValueError: one of the two is missing.
    """
    import fmi

    if isinstance(data, Mapping):
        world_size, rank = int(data["world_size"]), int(data["rank"])
    elif data is not None:
        world_size = int(data)
    if world_size is None or rank is None:
        raise ValueError("world_size and rank are needed")
    path = next((one for one in CONFIG_PATHS if Path(one).is_file()), CONFIG_PATHS[0])
    return fmi.Communicator(rank, world_size, path, COMM_NAME, FAAS_MEMORY_MB)
