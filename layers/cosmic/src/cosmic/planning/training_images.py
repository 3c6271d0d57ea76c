"""Whether a run's images are like those that its model was trained on: their size and scale."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cosmic.contracts.location import Location
from cosmic.data.checkpoint_header import ARCHITECTURE, DOMAIN
from cosmic.errors import Problem
from cosmic.planning.pixel_sample import OpenPartition

SAME_SCALE = 0.05  # relative: what calibrations of one camera differ by is far less


def too_small(metadata: Mapping[str, str], opened: Sequence[OpenPartition]) -> list[Problem]:
    """A problem if images are smaller than the model's; it names the first such partition.

    Larger images are no problem: they are cut to their centre.

    Args:
        metadata: Of the checkpoint.
        opened: The partitions.
    """
    side = _number(metadata.get(ARCHITECTURE), "image_size")
    sized = ((p, p.image_size) for p in opened if p.image_size is not None)
    small = [(p, size) for p, size in sized if side is not None and min(size) < side]
    if not small:
        return []
    first, (height, width) = small[0]
    message = (
        f"images of {height} x {width} pixels in {_uri(first)}, "
        f"but the model takes {side:.0f} x {side:.0f}"
    )
    hint = "cut out larger images, or use a model that was trained on images of this size"
    return [Problem("/model/uri", message, [height, width], hint, "images-too-small")]


def other_scale(metadata: Mapping[str, str], opened: Sequence[OpenPartition]) -> list[str]:
    """A warning if pixels are known to have another size on the sky than in the training data.

    Args:
        metadata: Of the checkpoint.
        opened: The partitions.
    """
    trained = _number(metadata.get(DOMAIN), "pixel_arcsec")
    for partition in opened:
        scale = partition.pixel_arcsec
        if trained and scale and abs(scale / trained - 1) > SAME_SCALE:
            message = (
                f"pixels of {scale:g} arcsec in {_uri(partition)}, but the model was trained on "
                f"pixels of {trained:g} arcsec: galaxies look {trained / scale:.2g} times as large "
                "to it; resample the images, or train a model on them"
            )
            return [message]
    return []


def _number(document: str | None, key: str) -> float | None:
    """A number in a JSON object of the metadata; None: it has none."""
    try:
        value = json.loads(document or "{}")[key]
    except (ValueError, KeyError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) else None


def _uri(partition: OpenPartition) -> str:
    return Location(partition.planned.bucket, partition.planned.key).uri
