"""Quantiles of residuals of any number of rows, in bounded memory and in one pass.

A `Distribution` keeps every value while there are few, and gives exact results. Of more it counts
the values in cells. A cell at x is at most 2**-bits (|x| + 2**-10)
wide. With the order statistics of a sample in their right cells:

- a quantile is off by at most the width of the cells of the two values that it lies between;
- the median absolute deviation d about the median m is off by at most as much as m, the centre of
  the distances, plus the width of a cell at |m| + d.

Cells reach to |x| = 16; beyond it, positions are interpolated up to the largest value, without a
bound. Neither the order in which values come nor how they are cut into blocks makes a difference.

Standard errors follow from the distribution itself, so that no rows are drawn again: that of a
quantile from the quantiles a standard error of its probability away (Woodruff 1952, J. Am. Stat.
Assoc. 47, 635), that of the MAD from the same for distances and the asymptotic covariance of median
and MAD (Serfling & Mazumder 2009, Stat. Probab. Lett. 79, 1767, sec. 2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MANTISSA_BITS = 52
OCTAVES = 14
KNEE = 2.0**-10
AT_ONCE = 65_536

Values = NDArray[np.float64]
Shares = Sequence[float]


def cells_of(values: Values, bits: int) -> NDArray[np.int64]:
    """The cell of each value (N,): exponent and leading bits of |x| + KNEE, mirrored below 0.

    Args:
        bits: Binary digits that cells divide an octave into; there are 2 * OCTAVES * 2**bits cells.
    """
    step, half = MANTISSA_BITS - bits, OCTAVES << bits
    first = int(np.float64(KNEE).view(np.int64)) >> step
    from_zero = np.minimum(((np.abs(values) + KNEE).view(np.int64) >> step) - first, half - 1)
    cells: NDArray[np.int64] = np.where(values < 0, half - 1 - from_zero, half + from_zero)
    return cells


def lower_edges(cells: NDArray[np.int64], bits: int) -> Values:
    """The lower edge of each of these cells; that of the cell after the last ends the last."""
    step, half = MANTISSA_BITS - bits, OCTAVES << bits
    first = int(np.float64(KNEE).view(np.int64)) >> step
    from_zero = np.abs(cells - half)
    edges: Values = ((from_zero + first) << step).view(np.float64) - KNEE
    return np.where(cells < half, -edges, edges)


class Distribution:
    """The distribution of values that come in blocks.

    Args:
        bits: Of the cells, once values are counted: see `cells_of`.
        exact: How many values are kept, at most.
    """

    def __init__(self, bits: int, exact: int) -> None:
        self.bits, self.exact = bits, exact
        self.n = 0
        self._kept: list[Values] = []
        self._counts: NDArray[np.uint32] | None = None
        self._range = (np.inf, -np.inf)

    def add(self, values: Values) -> None:
        """Take in more values (N,), all finite."""
        if not len(values):
            return
        self.n += len(values)
        low, high = self._range
        self._range = (min(low, float(values.min())), max(high, float(values.max())))
        self._kept.append(values)
        if self._counts is not None or self.n > self.exact:
            self._fold()

    def _fold(self) -> None:
        cells = cells_of(np.concatenate(self._kept), self.bits)
        if self._counts is None:
            self._counts = np.zeros(2 * OCTAVES << self.bits, np.uint32)
        first = int(cells.min())
        counts = np.bincount(cells - first)
        self._counts[first : first + len(counts)] += counts.astype(np.uint32)
        self._kept = []

    def sample(self) -> Sample:
        """What was taken in, to be asked; there must be values."""
        if self._counts is None:
            return ExactSample(np.sort(np.concatenate(self._kept)))
        occupied = self._counts > 0
        places = np.flatnonzero(np.append(occupied, False) | np.append(False, occupied))
        edges, below = np.zeros((2, len(places)))
        for start in range(0, len(places), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            edges[some] = lower_edges(places[some], self.bits)
        np.cumsum(self._counts[places[:-1]], out=below[1:])  # whole numbers below 2**53: exact
        edges[0], edges[-1] = min(edges[0], self._range[0]), max(edges[-1], self._range[1])
        return CountedSample(edges, below)


class Sample(ABC):
    """A distribution that is complete: its quantiles, and how well these are known.

    Attributes:
        n: Values in it, at least 1.
    """

    n: int

    @abstractmethod
    def quantiles(self, shares: Shares) -> Values:
        """The quantiles at these shares, between order statistics as numpy's `linear` has it."""

    @abstractmethod
    def below(self, values: Values) -> Values:
        """How many lie at or below each of these values; interpolated where they are counted."""

    @abstractmethod
    def distances(self, centre: float) -> Sample:
        """The distribution of the absolute deviations from a centre."""

    def median(self) -> float:
        """The median."""
        return float(self.quantiles([0.5])[0])

    def beyond(self, limit: float) -> float:
        """The share whose absolute values exceed a limit."""
        return (self.n - float(self.distances(0.0).below(np.array([limit]))[0])) / self.n

    def median_error(self) -> float:
        """The standard error of the median."""
        away = 0.5 / np.sqrt(self.n)
        low, high = self.quantiles([max(0.0, 0.5 - away), min(1.0, 0.5 + away)])
        return float(high - low) / 2

    def mad_error(self, centre: float, distances: Sample) -> float:
        """The standard error of the MAD about the median.

        The densities, whose ratio says how far the distribution is from symmetric, are those
        within half a MAD of their places.

        Args:
            centre: The median.
            distances: Those from it.
        """
        mad, error = distances.median(), distances.median_error()
        steps = self.below(centre + mad * np.array([-1.5, -0.5, 0.5, 1.5]))
        lower, middle, upper = np.diff(steps)
        if not middle:
            return error
        skew = (upper - lower) / middle
        shares = self.below(np.array([centre - mad, centre + mad])) / self.n
        return error * float(np.sqrt(max(0.0, 1 + skew**2 - 4 * skew * (1 - shares.sum()))))


class ExactSample(Sample):
    """All values.

    Args:
        values: Sorted (N,).
    """

    def __init__(self, values: Values) -> None:
        self.n = len(values)
        self._values = values

    def quantiles(self, shares: Shares) -> Values:
        """Exact."""
        found: Values = np.quantile(self._values, shares)
        return found

    def below(self, values: Values) -> Values:
        """Exact."""
        return np.searchsorted(self._values, values, side="right").astype(np.float64)

    def distances(self, centre: float) -> Sample:
        """Exact."""
        return ExactSample(np.sort(np.abs(self._values - centre)))


class CountedSample(Sample):
    """Counts in cells.

    Args:
        edges: Ascending places (E,).
        below: How many values lie below each (E,): 0 at the first, all at the last.
    """

    def __init__(self, edges: Values, below: Values) -> None:
        self.n = round(float(below[-1]))
        self._edges, self._below = edges, below

    def quantiles(self, shares: Shares) -> Values:
        """Of order statistics in their right cells: the k-th stands where k + 1/2 lie below."""
        at = np.asarray(shares, np.float64) * (self.n - 1)
        whole = np.floor(at)
        lower, upper = (np.interp(k + 0.5, self._below, self._edges) for k in (whole, np.ceil(at)))
        between: Values = lower + (at - whole) * (upper - lower)
        return between

    def below(self, values: Values) -> Values:
        """As if the values of a cell were spread over it evenly."""
        return np.interp(values, self._edges, self._below)

    def distances(self, centre: float) -> Sample:
        """The two sides of the centre, laid over each other."""
        edges = np.append(self._edges, centre)
        np.abs(np.subtract(edges, centre, out=edges), out=edges).sort()
        edges = edges[np.append(True, edges[1:] != edges[:-1])]
        return CountedSample(edges, self._within(centre, edges))

    def _within(self, centre: float, distances: Values) -> Values:
        """How many lie within each of these distances (E,), some at a time: E can be a million."""
        within = np.empty_like(distances)
        for start in range(0, len(distances), AT_ONCE):
            some = distances[start : start + AT_ONCE]
            upper, lower = self.below(centre + some), self.below(centre - some)
            np.subtract(upper, lower, out=within[start : start + AT_ONCE])
        return within
