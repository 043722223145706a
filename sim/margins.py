"""Distribution of one baseline measure among all who come to a clinic."""

from functools import lru_cache
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import betaincinv, gammaincinv, ndtr, ndtri

from sim.claims import Claim, Share
from sim.core.parts import Part, wrong

Floats = NDArray[np.float64]
Shape = Literal["normal", "lognormal", "gamma", "beta", "binary"]

SCORES = np.linspace(-8.0, 8.0, 4001)
"""Standard normal scores at which a quantile function without a quick formula is tabulated."""
LEAST = float(ndtr(-8.0))
NODES = np.linspace(-8.0, 8.0, 16001)
"""Scores by which the moments of a margin are integrated."""


@lru_cache(maxsize=256)
def _tabulated(shape: str, mean: float, sd: float) -> Floats:
    """Quantiles of a gamma, or of a beta on 0 to 1, at ``SCORES``."""
    share = ndtr(SCORES)
    if shape == "gamma":
        alpha = (mean / sd) ** 2
        return np.asarray(gammaincinv(alpha, share) * sd**2 / mean)
    size = mean * (1 - mean) / sd**2 - 1
    return np.asarray(betaincinv(mean * size, (1 - mean) * size, share))


def _looked_up(z: Floats, table: Floats) -> Floats:
    """Read a table at scores, any shape, by linear interpolation; its grid is even: no search."""
    place = np.clip((z - SCORES[0]) / (SCORES[1] - SCORES[0]), 0, len(SCORES) - 1.001)
    below = place.astype(np.intp)
    low = table[below]
    return np.asarray(low + (place - below) * (table[below + 1] - low))


class Margin(Part):
    """Distribution of one baseline measure in the clinic, and its units.

    ``mean`` and ``sd`` are of everybody, before rounding and clipping, those with the value 0 included
    where ``zeros`` gives their share; of a ``binary`` measure the mean is the share that has it.
    ``lognormal`` and ``gamma`` begin at 0; ``beta`` fills its ``bounds``; the others are clipped to them.
    """

    shape: Shape = "normal"
    mean: Claim
    sd: Claim | None = None
    zeros: Share | None = Field(None, description="share with the value 0, beside a positive distribution")
    units: str
    bounds: tuple[float, float] | None = None
    step: float | None = Field(None, gt=0, description="values are rounded to it")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.sd is None) != (self.shape == "binary"):
            raise wrong("'sd' is needed by every shape but binary, and only there")
        if self.shape == "beta" and self.bounds is None:
            raise wrong("a beta margin needs 'bounds', the ends of its scale")
        begins = self.bounds[0] if self.shape == "beta" and self.bounds else None
        from_zero = self.shape in ("lognormal", "gamma") or begins == 0
        if self.zeros is not None and not from_zero:
            raise wrong("'zeros' goes with a lognormal or gamma shape, or a beta from 0")
        self.check(*self.values())
        return self

    def values(self) -> tuple[float, float, float]:
        """Means of the claims on the mean, the SD and the share of zeros."""
        return (
            self.mean.mean({}),
            self.sd.mean({}) if self.sd else 0.0,
            self.zeros.mean({}) if self.zeros else 0.0,
        )

    def check(self, mean: float, sd: float, zeros: float) -> None:
        """Refuse moments that no distribution of this shape has."""
        if self.shape == "binary" and not 0 <= mean <= 1:
            raise wrong(f"a share of {mean:g} is not within 0 to 1")
        if self.shape != "binary" and sd <= 0:
            raise wrong(f"an SD of {sd:g} is not above 0")
        if self.shape in ("lognormal", "gamma") and mean <= 0:
            raise wrong(f"a mean of {mean:g} is not above 0, as a {self.shape} margin needs")
        if self.shape == "beta" and self.bounds:
            low, high = self.bounds
            if not low < mean < high or sd**2 >= (mean - low) * (high - mean):
                raise wrong(f"no distribution on {low:g} to {high:g} has the mean {mean:g} and the SD {sd:g}")
        if zeros and sd**2 + mean**2 <= mean**2 / (1 - zeros):
            raise wrong(f"with a share {zeros:g} of zeros the SD must be above {mean:g} × √(p / (1 − p))")

    def quantile(self, z: Floats, mean: float, sd: float, zeros: float = 0.0) -> Floats:
        """Turn standard normal scores, any shape, into values of the measure."""
        if self.shape == "binary":
            return np.asarray(ndtr(z) > 1 - mean, dtype=np.float64)
        value = self._with_zeros(z, mean, sd, zeros) if zeros else self._smooth(z, mean, sd)
        if self.step:
            value = np.rint(value / self.step) * self.step
        return np.clip(value, *self.bounds) if self.bounds else np.asarray(value)

    def score(self, value: float) -> float:
        """Standard normal score of a value: below it no value of the measure is higher (by bisection)."""
        mean, sd, zeros = self.values()
        if self.shape == "normal":
            return (value - mean) / sd
        low, high = -8.0, 8.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            above = float(self.quantile(np.array(middle), mean, sd, zeros)) > value
            low, high = (low, middle) if above else (middle, high)
        return low

    def _smooth(self, z: Floats, mean: float, sd: float) -> Floats:
        if self.shape == "normal":
            return np.asarray(mean + sd * z)
        if self.shape == "lognormal":
            log_sd = np.sqrt(np.log1p((sd / mean) ** 2))
            return np.asarray(np.exp(np.log(mean) - log_sd**2 / 2 + log_sd * z))
        if self.shape == "gamma":
            return _looked_up(z, _tabulated("gamma", mean, sd))
        assert self.bounds
        low, width = self.bounds[0], self.bounds[1] - self.bounds[0]
        return low + width * _looked_up(z, _tabulated("beta", (mean - low) / width, sd / width))

    def _with_zeros(self, z: Floats, mean: float, sd: float, zeros: float) -> Floats:
        """Zero for the lowest share, a positive value above it with the moments that are left."""
        share = (ndtr(z) - zeros) / (1 - zeros)
        positive = mean / (1 - zeros)
        spread = np.sqrt((sd**2 + mean**2) / (1 - zeros) - positive**2)
        value = self._smooth(ndtri(np.clip(share, LEAST, 1 - 1e-15)), positive, float(spread))
        return np.where(share > 0, value, 0.0)

    def moments(self, mean: float, sd: float, zeros: float = 0.0) -> tuple[float, float]:
        """Mean and SD of the values as they are seen, rounded and clipped (by quadrature over the scores)."""
        weight = np.diff(ndtr(NODES))
        value = self.quantile((NODES[1:] + NODES[:-1]) / 2, mean, sd, zeros)
        first = float(weight @ value)
        return first, float(weight @ (value - first) ** 2) ** 0.5
