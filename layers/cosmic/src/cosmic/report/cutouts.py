"""Small pictures of a few objects for the page: read row by row, drawn in colour, kept as PNG.

Reading them is the one thing in which `aggregate` looks at partitions. It is bounded in rows, bytes
and time, and whatever goes wrong costs pictures, never the page or the run.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.columns import Header
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, PlannedPartition
from cosmic.data.formats import read_header
from cosmic.errors import CosmicError
from cosmic.report.cutout import Cutout
from cosmic.report.cutout_choice import Chosen
from cosmic.storage.interfaces import Readable

SIDE = 48  # pixels around the middle
MOST_BYTES = 8 << 20  # of a stored image: 5 bands of 640 pixels square
READERS = 6
BEND = 3.0  # times the noise: where the scale of intensities begins to bend
RED_GREEN_BLUE = "irg"


def read_cutouts(
    chosen: Sequence[Chosen], plan: Plan, store: Readable, longest_s: float
) -> tuple[Cutout, ...]:
    """The pictures of rows; those that can't be read in time are left out.

    Args:
        chosen: Which rows.
        plan: Says where their partitions are, and as what they were planned.
        store: Where the partitions lie.
        longest_s: How long is waited for all of them.
    """
    source = store.paid_by(plan.request_payer)
    header = lru_cache(partial(_header, source))
    pool = ThreadPoolExecutor(READERS)
    coming = [pool.submit(_cutout, one, plan, source, header) for one in chosen]
    done, _ = wait(coming, longest_s)
    pool.shutdown(wait=False, cancel_futures=True)
    made = [future.result() for future in coming if future in done]
    return tuple(cutout for cutout in made if cutout is not None)


def _cutout(one: Chosen, plan: Plan, store: Readable, header: Any) -> Cutout | None:
    """An object's picture, if its image can be read."""
    try:
        planned = plan.partitions[one.partition]
        found = header(planned)
        image = found.tensors["image"] if isinstance(found, Header) else None
        if image is None or not 0 < image.row_bytes <= MOST_BYTES:
            return None
        offset, length = image.byte_range(one.row, one.row + 1)
        at = Location(planned.bucket, planned.key)
        data = store.get_range(at, offset, length, etag=planned.etag)
        picture = png(composite(image.rows(memoryview(data))[0], plan.model.bands))
    except (CosmicError, LookupError, ValueError):
        return None
    return Cutout(
        group=one.group,
        object_id=one.object_id,
        flags=one.flags,
        z_phot=one.z_phot,
        z_spec=one.z_spec,
        png=base64.b64encode(picture).decode(),
    )


def _header(store: Readable, planned: PlannedPartition) -> Header | None:
    at = Location(planned.bucket, planned.key)
    read = partial(store.get_range, at, etag=planned.etag)
    found = read_header(planned.format, read, planned.bytes, at.uri)
    return found if isinstance(found, Header) else None


def channels(bands: Bands) -> tuple[int, int, int]:
    """Which bands are red, green and blue: i, r and g, else the last, the middle and the first."""
    if set(RED_GREEN_BLUE) <= set(bands):
        red, green, blue = (bands.index(band) for band in RED_GREEN_BLUE)
        return red, green, blue
    last = len(bands) - 1
    return last, last // 2, 0


def composite(image: NDArray[Any], bands: Bands = BANDS) -> NDArray[np.uint8]:
    """The middle of an image (bands, H, W) in colours, as `channels` has them.

    The colour of a pixel stays as its intensity is compressed by asinh (Lupton et al. 2004, PASP
    116, 133), which begins to bend at three times the noise. What is not finite is black.

    Returns:
        8-bit pixels (H, W, 3), `SIDE` high and wide at most, the first row uppermost.
    """
    top, left = (max(0, (n - SIDE) // 2) for n in image.shape[1:])
    part = image[list(channels(bands)), top : top + SIDE, left : left + SIDE].astype(np.float64)
    part = np.nan_to_num(part, nan=0.0, posinf=0.0, neginf=0.0)
    part = part - np.median(part, axis=(1, 2), keepdims=True)
    intensity = part.mean(axis=0)
    noise = 1.4826 * float(np.median(np.abs(intensity))) or float(intensity.max()) / 10 or 1.0
    scaled = np.maximum(intensity, 0.0) / (BEND * noise)
    white = np.arcsinh(max(10.0, float(scaled.max())))
    factor = np.arcsinh(scaled) / white / np.where(intensity > 0, intensity, 1.0)
    colours = np.maximum(part, 0.0) * factor
    colours /= np.maximum(1.0, colours.max(axis=0))
    made: NDArray[np.uint8] = np.round(255 * colours).astype(np.uint8).transpose(1, 2, 0)[::-1]
    return made


def png(pixels: NDArray[np.uint8]) -> bytes:
    """8-bit RGB pixels (H, W, 3) as PNG (ISO/IEC 15948), each row as the difference to that above.

    `aggregate` has no library that writes pictures; one for this alone would be larger than all
    that draws the page.
    """
    high, wide, _ = pixels.shape
    above = np.concatenate([np.zeros_like(pixels[:1]), pixels[:-1]])
    rows = (pixels - above).reshape(high, -1)
    data = np.concatenate([np.full((high, 1), 2, np.uint8), rows], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(data, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
