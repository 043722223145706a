"""Repeated measures reduced to what a normal likelihood needs: sums by pattern of missing visits."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Measurements:
    """Repeated measures patient by patient.

    Attributes
    ----------
    columns
        Of the design, each (patient, replicate).
    value
        (patient, replicate, visit), nan is missing.
    """

    columns: tuple[Floats, ...]
    value: Floats

    def first(self, n: int) -> "Measurements":
        """Keep the first patients."""
        return Measurements(tuple(column[:n] for column in self.columns), self.value[:n])


@dataclass(frozen=True)
class Moments:
    """Sums over the patients of each data set who share a pattern of observed visits.

    Sufficient for a normal model in which each column of the design has an effect at each visit.

    Attributes
    ----------
    seen
        Which visits a pattern observes, (pattern, visit), 0 or 1.
    n
        Patients, (data set, pattern).
    xx, xy, yy
        Sums of products of the patients' columns and values, (data set, pattern, column, column),
        (…, column, visit) and (…, visit, visit); unobserved values count as 0.
    """

    seen: Floats
    n: Floats
    xx: Floats
    xy: Floats
    yy: Floats

    def take(self, which: NDArray[np.integer] | slice) -> "Moments":
        """Keep some of the data sets."""
        return Moments(self.seen, self.n[which], self.xx[which], self.xy[which], self.yy[which])

    def split(self, length: int) -> "list[Moments]":
        """Cut into runs of data sets."""
        return [self.take(slice(start, start + length)) for start in range(0, len(self.n), length)]

    @property
    def together(self) -> Floats:
        """Which pairs of visits a pattern observes, (pattern, visit, visit)."""
        return self.seen[:, :, None] * self.seen[:, None, :]

    @property
    def patients(self) -> Floats:
        """Patients with any value, (data set,)."""
        return np.asarray(self.n.sum(axis=1))

    @property
    def values(self) -> Floats:
        """Observed values, (data set,)."""
        return np.asarray(self.n @ self.seen.sum(axis=1))


def summarise(measured: Measurements, sizes: Sequence[int] = ()) -> Moments:
    """Reduce data sets to their moments.

    Parameters
    ----------
    measured
        The patients of every replicate.
    sizes
        Each size is a data set of the first patients; all patients by default.

    Returns
    -------
    Moments
        Data sets in the order (size, replicate), patterns in the order of their binary numbers;
        patients without any value are left out.
    """
    sizes = tuple(sizes) or (len(measured.value),)
    measured = measured.first(sizes[-1])
    seen = ~np.isnan(measured.value)
    patterns = patterns_in(seen)
    place = place_of(seen, patterns)
    shape = (len(sizes), seen.shape[1], len(patterns))
    total = _Totals(_cells(place, sizes, shape), shape)
    z = [np.asarray(column, dtype=np.float64).ravel() for column in measured.columns]
    z += [np.where(seen[:, :, v], measured.value[:, :, v], 0.0).ravel() for v in range(seen.shape[2])]
    products = np.zeros((shape[0] * shape[1], shape[2], len(z), len(z)))
    for a, b in combinations_with_replacement(range(len(z)), 2):
        products[:, :, a, b] = products[:, :, b, a] = total(z[a] * z[b])
    q = len(measured.columns)
    parts = (products[..., :q, :q], products[..., :q, q:], products[..., q:, q:])
    # contiguous, because matmul is slow on slices of a larger array
    xx, xy, yy = (np.ascontiguousarray(part) for part in parts)
    return Moments(patterns, total(np.ones_like(z[0])), xx, xy, yy)


def patterns_in(seen: Bools) -> Floats:
    """Patterns of observed visits that occur, (pattern, visit), 0 or 1; none for no visit at all."""
    visits = seen.shape[2]
    code = seen @ (1 << np.arange(visits, dtype=np.int64))
    present = (
        np.unique(code) if visits > 16 else np.flatnonzero(np.bincount(code.ravel(), minlength=1 << visits))
    )
    return np.asarray(present[present > 0, None] >> np.arange(visits) & 1, dtype=np.float64)


def place_of(seen: Bools, patterns: Floats) -> NDArray[np.integer]:
    """Say which of the patterns each patient has.

    Parameters
    ----------
    seen
        (patient, replicate, visit).
    patterns
        As from ``patterns_in`` these or more patients.

    Returns
    -------
    place
        (patient, replicate); the number of patterns where no visit is observed.
    """
    powers = 1 << np.arange(seen.shape[2], dtype=np.int64)
    code = seen @ powers
    return np.where(code > 0, np.searchsorted(patterns.astype(np.int64) @ powers, code), len(patterns))


@dataclass(frozen=True)
class _Totals:
    """Sums over patients by (size, replicate, pattern), cumulative over sizes."""

    cell: NDArray[np.integer]
    shape: tuple[int, int, int]

    def __call__(self, values: Floats) -> Floats:
        sizes, replicates, patterns = self.shape
        cells = sizes * replicates * patterns
        sums = np.bincount(self.cell, values, minlength=cells + 1)[:cells]
        return sums.reshape(self.shape).cumsum(axis=0).reshape(sizes * replicates, patterns)


def _cells(
    place: NDArray[np.integer], sizes: Sequence[int], shape: tuple[int, int, int]
) -> NDArray[np.integer]:
    """Cell of each (patient, replicate) among (size, replicate, pattern), one past the last for no value."""
    _, replicates, patterns = shape
    segment = np.searchsorted(np.asarray(sizes), np.arange(len(place)), side="right")[:, None]
    cell = (segment * replicates + np.arange(replicates)) * patterns + place
    return np.where(place < patterns, cell, np.prod(shape)).ravel()
