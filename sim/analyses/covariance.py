"""Covariance structures of repeated measures, each one formula from its parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Formula = Callable[[Any, int], Any]

TINY = 1e-30
STEP = 1e-5


@dataclass(frozen=True)
class Structure:
    """A covariance of ``visits`` values as a function of parameters.

    Attributes
    ----------
    name
        As in the input.
    formula
        Parameters (..., parameter) and the number of visits to (..., visit, visit); analytic, as its
        derivatives are taken by complex steps (Squire & Trapp 1998, doi:10.1137/S003614459631241X).
    guess
        Parameters near an unstructured covariance (..., visit, visit).
    linear
        Is the covariance linear in its parameters?
    second
        Second derivatives as ``curvature`` gives them, where there is a closed form.
    """

    name: str
    formula: Formula
    guess: Callable[[Floats], Floats]
    linear: bool
    second: Formula | None = None

    def matrix(self, theta: Floats, visits: int) -> Floats:
        """Covariances (data set, visit, visit) at parameters (data set, parameter)."""
        return np.asarray(self.formula(theta, visits), dtype=np.float64)

    def slopes(self, theta: Floats, visits: int) -> Floats:
        """First derivatives, (data set or 1, visit × visit, parameter)."""
        at = theta[:1] if self.linear else theta
        turned = at[:, None, :] + 1j * TINY * np.eye(theta.shape[1])
        slopes = np.imag(self.formula(turned, visits)) / TINY
        flat = slopes.reshape(len(at), theta.shape[1], visits * visits)
        return np.ascontiguousarray(flat.transpose(0, 2, 1))

    def curvature(self, theta: Floats, visits: int) -> Floats:
        """Second derivatives, (data set, visit × visit, parameter, parameter); by differences to 1e-9."""
        if self.second is not None:
            return np.asarray(self.second(theta, visits))
        moved = np.eye(theta.shape[1]) * STEP
        change = [self.slopes(theta + step, visits) - self.slopes(theta - step, visits) for step in moved]
        return np.stack(change, axis=-1) / (2 * STEP)


def _vech(theta: Any, visits: int) -> Any:
    """Fill a symmetric matrix from its lower triangle, row by row."""
    place = np.zeros((visits, visits), dtype=np.int64)
    rows, columns = np.tril_indices(visits)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return theta[..., place]


def _lower(covariance: Floats) -> Floats:
    rows, columns = np.tril_indices(covariance.shape[-1])
    return covariance[..., rows, columns]


def _cholesky(theta: Any, visits: int) -> Any:
    """Σ = LLᵀ, L = diag(exp(θ₁…)) × unit lower triangle: the parametrisation of R's mmrm."""
    rows, columns = np.tril_indices(visits, -1)
    unit = np.zeros((*theta.shape[:-1], visits, visits), dtype=theta.dtype)
    unit[..., range(visits), range(visits)] = 1
    unit[..., rows, columns] = theta[..., visits:]
    factor = np.exp(theta[..., :visits, None]) * unit
    return factor @ np.swapaxes(factor, -1, -2)


def _cholesky_second(theta: Any, visits: int) -> Any:
    """Second derivatives of LLᵀ: L″Lᵀ + L′L′ᵀ and its transpose, where L″ has one row."""
    rows, columns = np.tril_indices(visits, -1)
    sets, parameters = theta.shape
    scale, place = np.exp(theta[:, :visits]), np.arange(visits, parameters)
    factor = np.zeros((sets, visits, visits))
    factor[:, range(visits), range(visits)] = 1
    factor[:, rows, columns] = theta[:, visits:]
    factor *= scale[:, :, None]
    first = np.zeros((sets, parameters, visits, visits))
    first[:, range(visits), range(visits)] = factor
    first[:, place, rows, columns] = scale[:, rows]
    flat = first.reshape(sets, parameters * visits, visits)
    half = (flat @ np.swapaxes(flat, 1, 2)).reshape(sets, parameters, visits, parameters, visits)
    half = half.transpose(0, 1, 3, 2, 4)
    half[:, range(visits), range(visits), range(visits)] += factor @ np.swapaxes(factor, 1, 2)
    bent = scale[:, rows, None] * np.swapaxes(factor, 1, 2)[:, columns]
    half[:, rows, place, rows] += bent
    half[:, place, rows, rows] += bent
    whole = half + np.swapaxes(half, 3, 4)
    return whole.reshape(sets, parameters, parameters, visits * visits).transpose(0, 3, 1, 2)


def _cholesky_guess(covariance: Floats) -> Floats:
    factor = np.linalg.cholesky(covariance)
    scale = np.diagonal(factor, axis1=-2, axis2=-1)
    rows, columns = np.tril_indices(covariance.shape[-1], -1)
    return np.concatenate([np.log(scale), (factor / scale[..., None])[..., rows, columns]], axis=-1)


def _lags(visits: int) -> NDArray[np.integer]:
    return np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))


def _toeplitz(theta: Any, visits: int) -> Any:
    return theta[..., _lags(visits)]


def _toeplitz_guess(covariance: Floats) -> Floats:
    visits = covariance.shape[-1]
    bands = [np.diagonal(covariance, k, axis1=-2, axis2=-1).mean(axis=-1) for k in range(visits)]
    return np.stack(bands, axis=-1)


def _compound_symmetry(theta: Any, visits: int) -> Any:
    return theta[..., np.minimum(_lags(visits), 1)]


def _compound_symmetry_guess(covariance: Floats) -> Floats:
    bands = _toeplitz_guess(covariance)
    weights = np.arange(covariance.shape[-1] - 1, 0, -1)
    return np.stack([bands[..., 0], bands[..., 1:] @ weights / weights.sum()], axis=-1)


def _ar1(theta: Any, visits: int) -> Any:
    return theta[..., 0, None, None] * theta[..., 1, None, None] ** _lags(visits)


def _ar1_guess(covariance: Floats) -> Floats:
    bands = _toeplitz_guess(covariance)
    return np.stack([bands[..., 0], np.clip(bands[..., 1] / bands[..., 0], 0.05, 0.95)], axis=-1)


def _heterogeneous(formula: Formula) -> Formula:
    """Standard deviations by visit first, then the parameters of a correlation."""

    def scaled(theta: Any, visits: int) -> Any:
        sd, rest = theta[..., :visits], theta[..., visits:]
        one = np.ones((*rest.shape[:-1], 1))
        correlation = formula(np.concatenate([one, rest], axis=-1), visits)
        return sd[..., :, None] * correlation * sd[..., None, :]

    return scaled


def _heterogeneous_guess(guess: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    def scaled(covariance: Floats) -> Floats:
        sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        correlation = covariance / (sd[..., :, None] * sd[..., None, :])
        return np.concatenate([sd, guess(correlation)[..., 1:]], axis=-1)

    return scaled


UNSTRUCTURED = Structure("unstructured", _vech, _lower, linear=True)
CHOLESKY = Structure("cholesky", _cholesky, _cholesky_guess, linear=False, second=_cholesky_second)

_PLAIN = (
    Structure("toeplitz", _toeplitz, _toeplitz_guess, linear=True),
    Structure("compound_symmetry", _compound_symmetry, _compound_symmetry_guess, linear=True),
    Structure("ar1", _ar1, _ar1_guess, linear=False),
)

_HETEROGENEOUS = tuple(
    Structure(
        f"heterogeneous_{plain.name}",
        _heterogeneous(plain.formula),
        _heterogeneous_guess(plain.guess),
        linear=False,
    )
    for plain in _PLAIN
)

STRUCTURES: dict[str, Structure] = {each.name: each for each in (UNSTRUCTURED, *_PLAIN, *_HETEROGENEOUS)}
"""By name; Pinheiro & Bates 2000 (doi:10.1007/b98882), chapter 5, and SAS' MIXED name them alike."""
