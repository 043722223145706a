"""Ordinary least squares for many data sets at once, with classical or robust standard errors."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.analyses.inverse import invert
from sim.analyses.moments import Measurements

Floats = NDArray[np.float64]

Errors = Literal["classical", "hc0", "hc1", "hc2", "hc3"]


@dataclass(frozen=True)
class LinearFit:
    """One linear model a replicate.

    Attributes
    ----------
    coefficients
        (replicate, column).
    variance
        Of the coefficients, (replicate, column, column).
    df
        Residual degrees of freedom, (replicate,).
    sigma
        Residual standard deviation, (replicate,).
    r_squared
        Share of the variance explained, (replicate,).
    n
        Patients used, (replicate,).
    """

    coefficients: Floats
    variance: Floats
    df: Floats
    sigma: Floats
    r_squared: Floats
    n: Floats

    def contrast(self, weights: Floats) -> tuple[Floats, Floats]:
        """Estimate and standard error of linear functions (contrast, column), each (contrast, replicate)."""
        variance = np.einsum("ca,rab,cb->cr", weights, self.variance, weights)
        return weights @ self.coefficients.T, np.sqrt(variance)


def least_squares(measured: Measurements, errors: Errors = "classical") -> LinearFit:
    """Fit the value at one visit on the columns.

    Parameters
    ----------
    measured
        With a single visit; patients without the value are left out.
    errors
        Classical, or heteroscedasticity-consistent: HC0 to HC3 of MacKinnon & White (1985,
        doi:10.1016/0304-4076(85)90158-7).
    """
    seen = ~np.isnan(measured.value[:, :, 0])
    y = np.where(seen, measured.value[:, :, 0], 0.0)
    x = np.where(seen[:, :, None], np.stack(measured.columns, axis=-1), 0.0)
    inverse, _ = invert(np.einsum("nra,nrb->rab", x, x))
    coefficients = np.einsum("rab,nrb,nr->ra", inverse, x, y, optimize=True)
    residual = np.where(seen, y - np.einsum("nra,ra->nr", x, coefficients), 0.0)
    n = seen.sum(axis=0).astype(np.float64)
    df = n - x.shape[2]
    squares = (residual**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (np.where(seen, y - y.sum(axis=0) / n, 0.0) ** 2).sum(axis=0)
        sigma = np.sqrt(squares / df)
        if errors == "classical":
            variance = inverse * (sigma**2)[:, None, None]
        else:
            variance = inverse @ _meat(x, residual, inverse, errors) @ inverse
        if errors == "hc1":
            variance = variance * (n / df)[:, None, None]
        return LinearFit(coefficients, variance, df, sigma, 1 - squares / spread, n)


def _meat(x: Floats, residual: Floats, inverse: Floats, errors: Errors) -> Floats:
    """Σ xxᵀe², the residuals enlarged by their leverage for HC2 and HC3, (replicate, column, column)."""
    leverage = np.einsum("nra,rab,nrb->nr", x, inverse, x, optimize=True)
    power = {"hc2": 1, "hc3": 2}.get(errors, 0)
    scaled = residual**2 / (1 - leverage) ** power
    return np.asarray(np.einsum("nra,nr,nrb->rab", x, scaled, x, optimize=True))
