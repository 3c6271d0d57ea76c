"""Whether a run's partitions have the bands of its model."""

from __future__ import annotations

from collections.abc import Sequence

from cosmic.contracts.bands import listed_bands
from cosmic.contracts.location import Location
from cosmic.contracts.plan import PlannedModel
from cosmic.errors import Problem
from cosmic.planning.pixel_sample import OpenPartition

HINT = (
    "pack the files with the model's bands (`cosmic data pack --bands`), or give a model of these "
    "bands; `cosmic model train --data` makes one"
)


def other_bands(model: PlannedModel | None, opened: Sequence[OpenPartition]) -> list[Problem]:
    """A problem if partitions have other bands than the model, or the same in another order.

    If the model can't be read, all partitions must still have the bands of the first one.

    Args:
        model: The run's model.
        opened: The partitions; the problem names the first that differs from the model.
    """
    if not opened:
        return []
    wanted = opened[0].bands if model is None else model.bands
    unlike = [p for p in opened if p.bands != wanted]
    if not unlike:
        return []
    found = unlike[0]
    uri = Location(found.planned.bucket, found.planned.key).uri
    whose = "the first partition has" if model is None else "the model takes"
    message = (
        f"{uri} has the bands {listed_bands(found.bands)}, "
        f"but {whose} {listed_bands(wanted)}, in this order"
    )
    return [Problem("/model/uri", message, list(found.bands), HINT, "other-bands")]
