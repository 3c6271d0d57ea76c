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
    """A problem if partitions have other bands than the model, or another order of them.

    Where the model can't be read, partitions still have to have the bands of the first.

    Args:
        model: Of the run.
        opened: The partitions; the first that is unlike the model is named.
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
