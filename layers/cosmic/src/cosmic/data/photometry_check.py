"""Whether pixels are as bright as the magnitudes say: their unit, the order of bands, any light.

A magnitude says how much light a cutout holds. The sum of the pixels over the magnitude's flux is
a little below 1 where all is right (some light falls outside the cutout), and far from it where the
pixels have another unit or the bands another order. A data set is judged by medians over many
objects, a single object by a wider margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, REFERENCE, Bands, listed_bands
from cosmic.contracts.plausible import plausible_magnitudes

ZERO_POINT = 22.5  # magnitude of one nanomaggy
LEAST_OBJECTS = 5
FAINTEST, BRIGHTEST = 0.2, 2.5  # of a data set's medians
UNUSUAL_FAINT, UNUSUAL_BRIGHT = 0.5, 2.0  # not refused, but said
LEAST_SHARED = 3  # bands
ODD_FAINTEST, ODD_BRIGHTEST = 0.1, 5.0  # of a single object
SIGNIFICANT = 5.0  # times the noise of the sum
ALIKE = 2.0  # factors of bands that have one cause
CENTRE_PIXELS = 64  # a larger image holds more neighbours and noise than galaxy
PIECES, PIECE_ROWS, PIECE_BYTES = 8, 32, 1 << 20  # of a sample
RIM = 32  # of a side: what shows the noise at each end
WHOLE = 0.9  # share of finite pixels
NOISELESS = 1e-20  # of the flux: images that were never observed
NOISE_OF_MAD = 1.4826  # of a normal distribution
RELATED, APART_DEX, RELATED_OBJECTS = 0.5, 0.15, 20
VOTES, BETTER, EXPLAINED_DEX = 0.8, 0.5, 0.15
NEAR_DEX = 0.1
MOST_ORDERED = 6  # bands whose orders are all tried, 720 of them; of more bands no order is found

# Nanomaggies of one unit.
UNITS = {
    "microjansky": 1 / 3.631,
    "nanojansky": 1e-3 / 3.631,
    "millijansky": 1e3 / 3.631,
    "jansky": 1e6 / 3.631,
    "maggies": 1e9,
    "electrons or counts with zero point 25": 0.1,
    "counts with zero point 27": 10 ** (0.4 * (ZERO_POINT - 27)),
    "counts with zero point 30": 1e-3,
    "hundredths of a nanomaggy": 0.01,
    "10 nanomaggies": 10.0,
    "100 nanomaggies": 100.0,
}

Floats = NDArray[np.floating[Any]]
Float64s = NDArray[np.float64]
Mask = NDArray[np.bool_]
Verdict = Literal["ok", "unit", "bands", "scales", "rows", "no-signal", "too-few"]


def flux_of(mag: Floats) -> Float64s:
    """Fluxes in nanomaggies, of the magnitudes' shape; NaN where there is no plausible one.

    Pogson's formula. Asinh magnitudes (Lupton, Gunn & Szalay 1999) differ from it by more than 5 %
    only below some four times their softening, far less light than the noise of a cutout.
    """
    known = plausible_magnitudes(mag)
    wide = np.where(known, mag, np.nan).astype(np.float64)
    flux: Float64s = 10.0 ** (0.4 * (ZERO_POINT - wide))
    return flux


@dataclass(frozen=True)
class Comparison:
    """Pixels beside magnitudes, of N objects and B bands.

    Attributes:
        sums: Of the finite pixels, in their unit, (N, B); NaN where too many are not finite.
        noise: Of the sums, from their first and last rows of pixels, (N, B).
        flux: Of the magnitudes, nanomaggies, (N, B); NaN where there is none.
        bands: Their names.
    """

    sums: Float64s
    noise: Float64s
    flux: Float64s
    bands: Bands = BANDS

    @classmethod
    def of(cls, image: Floats, mag: Floats, bands: Bands = BANDS) -> Comparison:
        """Compare images (N, B, H, W) in nanomaggies with magnitudes (N, B)."""
        image = centre(image)
        return cls(_sums(image), _noise(image), flux_of(mag), bands)

    @classmethod
    def joined(cls, parts: Sequence[Comparison]) -> Comparison:
        """All objects of several, of the same bands."""
        bands = parts[0].bands if parts else BANDS
        none = np.empty((0, len(bands)))
        sums = np.concatenate([none, *(p.sums for p in parts)])
        noise = np.concatenate([none, *(p.noise for p in parts)])
        return cls(sums, noise, np.concatenate([none, *(p.flux for p in parts)]), bands)

    @cached_property
    def compared(self) -> Mask:
        """Where there are both, (N, B)."""
        return np.isfinite(self.sums) & np.isfinite(self.flux)

    def bright(self, band: int) -> NDArray[np.intp]:
        """The half of the objects that is brighter by its magnitude: no choice by the pixels,
        for those that are chosen so would be too bright."""
        rows = np.flatnonzero(self.compared[:, band])
        order = np.argsort(-self.flux[rows, band], kind="stable")
        return rows[order[: max(LEAST_OBJECTS, len(rows) // 2)]]


@dataclass(frozen=True)
class BandRatio:
    """One band of a data set.

    Attributes:
        objects: That are compared.
        ratio: Median of pixel sum over flux; None: too few objects, or all lost in the noise.
        off: Whether that is further from 1 than noise, dust and a galaxy's size make it.
        dark: Whether there is no light although the magnitudes say so.
    """

    objects: int
    ratio: float | None = None
    off: bool = False
    dark: bool = False


@dataclass(frozen=True)
class Report:
    """What the comparison says of a data set.

    Attributes:
        verdict: `ok`; `unit`: all bands off by one factor; `bands`: in another order; `scales`: off
            by factors of their own; `rows`: pixels of other objects; `no-signal`: bands without
            light; `too-few` objects to tell.
        objects: That were looked at.
        bands: By name.
        factor: How many times too bright the pixels are, where bands share it.
        order: Which band the pixels of each band really show, where it's another.
        message: What is wrong or unusual, for people; empty if nothing is.
        hint: The likely cause and the way out.
    """

    verdict: Verdict
    objects: int
    bands: dict[str, BandRatio] = field(default_factory=dict)
    factor: float | None = None
    order: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""

    @property
    def refused(self) -> bool:
        """Whether pixels and magnitudes disagree."""
        return self.verdict not in ("ok", "too-few")

    @property
    def ratios(self) -> str:
        """Such as `u 0.95, g 0.93, r 0.92, i 0.92, z -`."""
        return ", ".join(
            f"{band} {'-' if b.ratio is None else format(b.ratio, '.3g')}"
            for band, b in self.bands.items()
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def centre(image: Floats) -> Floats:
    """The pixels (N, B, h, w) in the middle of images (N, B, H, W)."""
    top, left = (max(0, (side - CENTRE_PIXELS) // 2) for side in image.shape[2:])
    return image[:, :, top : top + CENTRE_PIXELS, left : left + CENTRE_PIXELS]


def spread(rows: Sequence[int], row_bytes: Sequence[int]) -> list[tuple[int, int, int]]:
    """A few rows, evenly spread over files that follow each other.

    Args:
        rows: Of each file.
        row_bytes: Of a row's image in each file.

    Returns:
        At most `PIECES` times: index of the file, first row, one past the last. A piece has at most
        `PIECE_ROWS` rows, and no more than `PIECE_BYTES` unless that is less than a row.
    """
    ends = np.cumsum([0, *rows])
    most = [max(1, min(PIECE_ROWS, PIECE_BYTES // max(1, size))) for size in row_bytes]
    pieces: list[tuple[int, int, int]] = []
    for index in range(PIECES):
        at = int(ends[-1]) * index // PIECES
        file = int(np.searchsorted(ends, at, side="right")) - 1
        start = at - int(ends[file])
        if pieces and pieces[-1][0] == file:
            start = max(start, pieces[-1][2])
        stop = min(start + most[file], rows[file]) if file < len(rows) else start
        if stop > start:
            pieces.append((file, start, stop))
    return pieces


def judge(found: Comparison) -> Report:
    """Whether pixels and magnitudes of a data set agree, and if not, why."""
    bands = {band: _band(found, index) for index, band in enumerate(found.bands)}
    objects = len(found.sums)
    lit = [b for b in bands.values() if b.ratio is not None and not b.dark]
    dark = [band for band, b in bands.items() if b.dark]
    if not lit:
        return _dark(objects, bands, dark) if dark else Report("too-few", objects, bands)
    if order := _order(found):
        return _permuted(objects, bands, order, _factor(found, order))
    if not any(b.off for b in lit):
        if not dark and _unrelated(found):
            return _in_other_rows(objects, bands)
        return _dark(objects, bands, dark) if dark else _fine(objects, bands, lit)
    ratios = [b.ratio or 0.0 for b in lit]
    if 0 < max(ratios) <= ALIKE * min(ratios):
        return _scaled(objects, bands, float(np.median(ratios)))
    return _uneven(objects, bands)


def mismatched(image: Floats, mag: Floats) -> Mask:
    """Which objects (N,) have pixels far too bright or too faint in a band, beyond all noise.

    Bands without signal, with many pixels that aren't finite or without a magnitude say nothing:
    other flags tell of them.

    Args:
        image: (N, B, H, W) nanomaggies.
        mag: (N, B).
    """
    image, flux = centre(image), flux_of(mag)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.einsum("nbhw->nb", image)  # takes two thirds of the time of `sum`
    if (broken := ~np.isfinite(sums)).any():
        sums[broken] = _sums(image[broken])
    apart = (sums < ODD_FAINTEST * flux) | (sums > ODD_BRIGHTEST * flux)
    sums, flux = sums[apart], flux[apart]
    margin = SIGNIFICANT * _noise(image[apart])
    faint = (sums + margin < ODD_FAINTEST * flux) & (sums != 0)
    beyond = faint | (sums - margin > ODD_BRIGHTEST * flux)
    odd = np.zeros(len(mag), np.bool_)
    odd[np.nonzero(apart)[0][beyond]] = True
    return odd


def _sums(image: Floats) -> Float64s:
    """Of the finite pixels of images (..., H, W); NaN where too few are, or not the central one."""
    finite = np.isfinite(image)
    sums: Float64s = np.where(finite, image, 0).sum(axis=(-2, -1), dtype=np.float64)
    middle = finite[..., image.shape[-2] // 2, image.shape[-1] // 2]
    return np.where(middle & (finite.mean(axis=(-2, -1)) >= WHOLE), sums, np.nan)


def _noise(image: Floats) -> Float64s:
    """Noise of the sums of images (..., H, W), by how much their first and last rows scatter."""
    height, width = image.shape[-2:]
    rim = max(1, height // RIM)
    edge = np.concatenate([image[..., :rim, :], image[..., height - rim :, :]], axis=-2)
    pixels = edge.reshape(*image.shape[:-2], 2 * rim * width)
    pixels[~np.isfinite(pixels)] = 0.0
    middle = np.median(pixels, axis=-1, keepdims=True)
    deviation = np.median(np.abs(pixels - middle), axis=-1)
    noise: Float64s = NOISE_OF_MAD * math.sqrt(height * width) * deviation.astype(np.float64)
    return noise


def _band(found: Comparison, band: int) -> BandRatio:
    count = int(found.compared[:, band].sum())
    rows = found.bright(band)
    if count < LEAST_OBJECTS:
        return BandRatio(count)
    sums, flux = found.sums[rows, band], found.flux[rows, band]
    noise = np.maximum(found.noise[rows, band], NOISELESS * flux)
    seen, said = (float(np.median(light / noise)) for light in (sums, flux))
    if max(seen, said) < SIGNIFICANT:
        return BandRatio(count)
    sure = min(0.5, 1 / math.sqrt(len(rows)))  # two standard errors of a median's rank
    low = np.quantile((sums - noise) / flux, 0.5 - sure)
    high = np.quantile((sums + noise) / flux, 0.5 + sure)
    faint, bright = bool(high < FAINTEST), bool(low > BRIGHTEST)
    ratio, dark = float(np.median(sums / flux)), faint and seen < SIGNIFICANT / 2
    return BandRatio(count, ratio, off=faint or bright, dark=dark)


def _order(found: Comparison) -> tuple[int, ...] | None:
    """The band whose pixels fit each band's magnitude, if not its own.

    An object's ratios should be alike in all bands. Another order of bands is believed if it makes
    them so, much better than the given one, in most objects. Factors of the bands could look like
    another order, but leave the ratios of one band alike in all objects, which it would not.
    """
    rows = found.bright(found.bands.index(REFERENCE))
    if len(found.bands) > MOST_ORDERED:
        return None
    orders = np.array(list(permutations(range(len(found.bands)))))
    rows = rows[(found.compared[rows] & (found.sums[rows] > 0)).all(axis=1)]
    if len(rows) < LEAST_OBJECTS:
        return None
    sums, flux = np.log10(found.sums[rows]), np.log10(found.flux[rows])
    apart = sums[:, orders] - flux[:, None, :]  # (objects, orders, bands)
    apart -= np.median(apart, axis=2, keepdims=True)
    misfit = np.abs(apart).mean(axis=2)
    typical = np.median(misfit, axis=0)
    best = int(np.argmin(typical))
    votes = np.mean(misfit[:, best] < misfit[:, 0])
    believed = best and votes >= VOTES and typical[best] < min(BETTER * typical[0], EXPLAINED_DEX)
    if believed and _scatter(apart[:, 0]) < _scatter(apart[:, best]):
        return None
    return tuple(int(b) for b in orders[best]) if believed else None


def _unrelated(found: Comparison) -> bool:
    """Whether objects that are brighter by their magnitudes have no brighter pixels (band r)."""
    band = found.bands.index(REFERENCE)
    sums, noise, flux = (v[:, band] for v in (found.sums, found.noise, found.flux))
    rows = (sums > 0) & (flux > SIGNIFICANT * noise)
    if np.count_nonzero(rows) < RELATED_OBJECTS:
        return False
    logs = np.log10([sums[rows], flux[rows]])
    ratio = logs[0] - logs[1]
    apart = float(np.median(np.abs(ratio - np.median(ratio))))
    return apart > APART_DEX and _correlation(logs) < RELATED


def _correlation(pairs: Float64s) -> float:
    """Pearson's coefficient of pairs (2, N); 0 where one of them never varies."""
    if not all(np.ptp(each) for each in pairs):
        return 0.0
    return float(np.asarray(np.corrcoef(pairs))[0, 1])


def _scatter(apart: Float64s) -> float:
    """How far ratios (objects, bands) lie from their band's median, typically."""
    return float(np.mean(np.abs(apart - np.median(apart, axis=0))))


def _factor(found: Comparison, order: Sequence[int]) -> float:
    in_order = Comparison(found.sums[:, order], found.noise[:, order], found.flux, found.bands)
    ratios = [b.ratio for b in (_band(in_order, i) for i in range(len(order))) if b.ratio]
    return float(np.median(ratios)) if ratios else math.nan


def _permuted(
    objects: int, bands: dict[str, BandRatio], order: Sequence[int], factor: float
) -> Report:
    names_in_order = tuple(bands)
    shown = [names_in_order[order.index(i)] for i in range(len(order))]
    names = ", ".join(shown)
    message = (
        f"the bands of pixels and magnitudes are in different orders: the image's bands fit the "
        f"magnitudes of {names} in turn ({_ratios(bands)})"
    )
    hint = f"put the bands of image and mag in the order {listed_bands(names_in_order)}"
    off = None if FAINTEST <= factor <= BRIGHTEST else factor
    if off is not None:
        message += f", and then are {_times(off)}"
        hint += f"; {_cause(off)}"
    return Report("bands", objects, bands, off, tuple(shown), message, hint)


def _fine(objects: int, bands: dict[str, BandRatio], lit: Sequence[BandRatio]) -> Report:
    """Nothing to refuse; a factor that all bands share may be a unit all the same."""
    ratios = [b.ratio or 0.0 for b in lit]
    factor = float(np.median(ratios))
    shared = factor > 0 and len(lit) >= LEAST_SHARED and max(ratios) <= ALIKE * min(ratios)
    if not shared or UNUSUAL_FAINT <= factor <= UNUSUAL_BRIGHT:
        return Report("ok", objects, bands)
    message = f"all pixels are {_times(factor)} ({_ratios(bands)})"
    hint = "check the unit of the pixels, and of the fluxes that magnitudes are made of"
    return Report("ok", objects, bands, factor, (), message, hint)


def _scaled(objects: int, bands: dict[str, BandRatio], factor: float) -> Report:
    message = f"pixels are {_times(factor)} ({_ratios(bands)})"
    return Report("unit", objects, bands, factor, (), message, _cause(factor))


def _uneven(objects: int, bands: dict[str, BandRatio]) -> Report:
    message = (
        "pixels are too bright or too faint for the magnitudes, "
        f"each band by its own factor ({_ratios(bands)})"
    )
    hint = (
        "the pixels may be counts (adu) that each band's calibration turns into nanomaggies, the "
        "sky may not be subtracted, or images and magnitudes may be of different objects"
    )
    return Report("scales", objects, bands, None, (), message, hint)


def _in_other_rows(objects: int, bands: dict[str, BandRatio]) -> Report:
    message = (
        "objects with brighter magnitudes do not have brighter pixels, "
        f"although most are as bright as they should be ({_ratios(bands)})"
    )
    hint = "images and magnitudes may be in different orders of the objects"
    return Report("rows", objects, bands, None, (), message, hint)


def _dark(objects: int, bands: dict[str, BandRatio], dark: Sequence[str]) -> Report:
    where = "all bands" if len(dark) == len(bands) else ", ".join(dark)
    message = (
        f"the pixels of {where} hold no light, although the magnitudes say there is some "
        f"({_ratios(bands)})"
    )
    hint = (
        "the images may be empty or miss the objects; "
        "where nothing was observed, pixels and magnitudes are NaN"
    )
    return Report("no-signal", objects, bands, 0.0, (), message, hint)


def _ratios(bands: dict[str, BandRatio]) -> str:
    return f"pixel sum / flux of the magnitude, median: {Report('ok', 0, bands).ratios}"


def _times(factor: float) -> str:
    if factor > 1:
        return f"{factor:.3g} times as bright as the magnitudes say"
    return f"{1 / factor:.3g} times fainter than the magnitudes say"


def _cause(factor: float) -> str:
    """The likely unit, and the option that converts it."""
    scale = min(UNITS.values(), key=lambda unit: abs(math.log10(unit * factor)))
    if abs(math.log10(scale * factor)) < NEAR_DEX:
        names = " or ".join(name for name, unit in UNITS.items() if unit == scale)
        return f"they may be in {names}: pack them with --image-scale {scale:.4g}"
    scale = 1 / factor
    zero_point = ZERO_POINT + 2.5 * math.log10(factor)
    return (
        f"they may be counts (adu) or another unit, with zero point {zero_point:.1f}: "
        f"pack them with --image-scale and its nanomaggies, about {scale:.2g}"
    )
