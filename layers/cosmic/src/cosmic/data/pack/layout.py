"""How the axes of images lie in a file."""

from __future__ import annotations

import math

from cosmic.data.pack.source import Shape


def image_layout(shape: Shape, n_bands: int) -> str | None:
    """How the axes of one row's image lie: `bands-first`, `bands-last`, `flat`, …; None: not known.

    Args:
        shape: Of one row; axes that aren't known are told when rows are read.
        n_bands: Number of its bands.
    """
    n, found = n_bands, None
    match shape:
        case _ if None in shape:
            found = "unknown"
        case (first, _, _) if first == n:
            found = "bands-first"
        case (_, _, last) if last == n:
            found = "bands-last"
        case (int(size),) if size and size % n == 0 and _is_square(size // n):
            found = "flat"
        case (first, int(pixels)) if first == n and _is_square(pixels):
            found = "flat-bands-first"
        case (int(pixels), last) if last == n and _is_square(pixels):
            found = "flat-bands-last"
    return found


def image_shape(shape: Shape, n_bands: int) -> tuple[int, int] | None:
    """Height and width of an image of this shape; None: not known before it is read."""
    layout, sizes = image_layout(shape, n_bands), [n for n in shape if n is not None]
    if layout is None or len(sizes) < len(shape):
        return None
    if layout == "bands-last":
        return sizes[0], sizes[1]
    if layout == "bands-first":
        return sizes[1], sizes[2]
    side = math.isqrt(math.prod(sizes) // n_bands)
    return side, side


def _is_square(pixels: int) -> bool:
    return math.isqrt(pixels) ** 2 == pixels
