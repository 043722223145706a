"""What is seen of a latent pain: rated with error, rounded and clipped to the scale."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr

from sim.core.parts import Family, Part, wrong

Floats = NDArray[np.float64]


def _density(z: Any) -> Any:
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def clipped_mean(
    mean: Any,
    sd: Any,
    bounds: tuple[float, float],
    cdf: Callable[[Any], Any] = ndtr,
    pdf: Callable[[Any], Any] = _density,
) -> Any:
    """Mean of a normal variable clipped to a scale: the mean that a trial reports.

    Parameters
    ----------
    mean, sd
        Of the latent variable, in points of the scale; any broadcastable shape.
    bounds
        Lowest and highest score of the scale.
    cdf, pdf
        Of the standard normal; PyTensor's twins make this the likelihood of the synthesis.

    Notes
    -----
    The two-limit Tobit mean (Greene, Econometric Analysis, 2012, section 19.3):
    E[clip(X)] = low + (mean − low)[Φ(b) − Φ(a)] + (high − low)[1 − Φ(b)] + sd[φ(a) − φ(b)],
    a = (low − mean)/sd, b = (high − mean)/sd.
    """
    low, high = bounds
    a, b = (low - mean) / sd, (high - mean) / sd
    inside = cdf(b) - cdf(a)
    return low + (mean - low) * inside + (high - low) * (1 - cdf(b)) + sd * (pdf(a) - pdf(b))


def clipped_variance(
    mean: Any,
    sd: Any,
    bounds: tuple[float, float],
    cdf: Callable[[Any], Any] = ndtr,
    pdf: Callable[[Any], Any] = _density,
) -> Any:
    """Variance of a normal variable clipped to a scale, points².

    Parameters as in ``clipped_mean``; the second moment is the two-limit Tobit's (same source).
    """
    low, high = bounds
    a, b = (low - mean) / sd, (high - mean) / sd
    square = (
        low**2 * cdf(a)
        + high**2 * cdf(-b)
        + (mean**2 + sd**2) * (cdf(b) - cdf(a))
        + sd * ((mean + low) * pdf(a) - (mean + high) * pdf(b))
    )
    return square - clipped_mean(mean, sd, bounds, cdf, pdf) ** 2


def clipped_sd(mean: Any, sd: Any, bounds: tuple[float, float]) -> Any:
    """SD of a normal variable clipped to a scale: the SD that a trial reports, rounding apart."""
    return np.sqrt(np.maximum(clipped_variance(mean, sd, bounds), 0.0))


def rounding_variance(
    mean: Any, sd: Any, bounds: tuple[float, float], step: float, cdf: Callable[[Any], Any] = ndtr
) -> Any:
    """Variance that rounding to ``step`` adds to a clipped score, points².

    Sheppard's step²/12 (Kendall & Stuart, The Advanced Theory of Statistics, vol. 1, chapter 3) for those
    inside the scale; who is clipped is not rounded. Within 0.015 of the exact SD on 0 to 10 by 1 for SDs
    from 1.
    """
    low, high = bounds
    return step**2 / 12 * (cdf((high - mean) / sd) - cdf((low - mean) / sd))


def state_share(mean: Any, sd: Any, at_most: Any, cdf: Callable[[Any], Any] = ndtr) -> Any:
    """Share of whole-number scores at or below a limit, of a normal rating before rounding: exact."""
    return cdf((np.floor(at_most) + 0.5 - mean) / sd)


EVERYBODY = (-np.inf, np.inf)


@dataclass(frozen=True)
class PairedRatings:
    """Ratings of one group at baseline and at a visit, before rounding: a bivariate normal.

    Attributes
    ----------
    baseline, visit
        Mean and SD at each, points on 0–10; any broadcastable shapes.
    correlation
        Between the two, with their rating errors in it: reliability × SD at baseline / SD at the visit, where
        true pain at the visit is that at baseline and a change that does not depend on it.
    """

    baseline: tuple[Any, Any]
    visit: tuple[Any, Any]
    correlation: Any

    def responders(
        self,
        reduction: float,
        admitted: tuple[float, float] = EVERYBODY,
        cdf: Callable[[Any], Any] = ndtr,
        pdf: Callable[[Any], Any] = _density,
    ) -> Any:
        """Share whose score at the visit is at least ``reduction`` (a share) below that at baseline.

        Both scores are whole numbers from 0 to 10, and who starts at 0 cannot respond: ``Responder`` on
        ``Scale()``. The rating at baseline is integrated by Gauss–Legendre quadrature, score by score, since
        the score to be reached jumps between them; the rating at the visit given it is normal.

        Parameters
        ----------
        admitted
            Limits of the unrounded rating that the entry rule lets in (``EntryRule.limits``); mean and SD
            are those of all who present.
        """
        (start, spread), (mean, sd) = self.baseline, self.visit
        keep = (admitted[0] < _RATING) & (admitted[1] > _RATING)
        rating, weight = _RATING[keep], _WEIGHT[keep]
        reach = np.floor((1 - reduction) * _SCORE[keep] + 1e-9) + 0.5
        z = (rating - _nodes(start)) / _nodes(spread)
        expected = _nodes(mean) + _nodes(self.correlation * sd) * z
        reached = cdf((reach - expected) / _nodes(sd * (1 - self.correlation**2) ** 0.5))
        met = (reached * (pdf(z) * weight)).sum(axis=-1) / spread
        if admitted == EVERYBODY:
            return met
        return met / (cdf((admitted[1] - start) / spread) - cdf((admitted[0] - start) / spread))


def _nodes(value: Any) -> Any:
    """Give ``value`` a last axis for the quadrature's nodes; a number stays a number."""
    return value[..., None] if getattr(value, "ndim", 0) else value


NODES = 3
"""Gauss–Legendre nodes within one score: shares within 2e-4 for SDs of 0.8 to 2.5 (tested against a fine
sum)."""
_EDGES = np.array([*np.arange(0.5, 11), 12.0, 14.0, 18.0])
"""Ratings at baseline by score from 1; above 9.5 all are 10."""
_UNIT, _UNIT_WEIGHT = np.polynomial.legendre.leggauss(NODES)
_HALF = np.diff(_EDGES)[:, None] / 2
_RATING = (_EDGES[:-1, None] + _HALF + _HALF * _UNIT).ravel()
_WEIGHT = (_HALF * _UNIT_WEIGHT).ravel()
_SCORE = np.minimum(np.rint(_RATING), 10.0)


def latent_moments(mean: float, sd: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """Mean and SD of the latent normal whose clipped scores have a reported mean and SD.

    Returns the reported pair itself where no normal has it (an SD too large for its mean on the scale).
    """
    from scipy.optimize import root

    def miss(guess: Floats) -> Floats:
        latent = guess[0], np.exp(guess[1])
        return np.array([clipped_mean(*latent, bounds) - mean, clipped_sd(*latent, bounds) - sd])

    found = root(miss, np.array([mean, np.log(sd)]), method="hybr")
    if not found.success or abs(found.x[1] - np.log(sd)) > 1:
        return mean, sd
    return float(found.x[0]), float(np.exp(found.x[1]))


class Scale(Part):
    """Scores that an instrument can take: from ``low`` to ``high`` by ``step``, in points."""

    low: float = 0.0
    high: float = 10.0
    step: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise wrong(f"low {self.low:g} must be below high {self.high:g}")
        return self

    def score(self, latent: Floats) -> Floats:
        """Round to the nearest step and clip to the scale; overwrites ``latent``, any shape."""
        if self.step != 1.0:
            latent /= self.step
        np.rint(latent, out=latent)
        if self.step != 1.0:
            latent *= self.step
        return np.clip(latent, self.low, self.high, out=latent)

    def mean(self, mean: Floats, sd: Floats) -> Floats:
        """Exact mean of the rounded and clipped score of a normal latent, same shape as ``mean``.

        A score on a grid is low + step × (number of midpoints below the latent), so its mean is a sum
        of normal tail probabilities.
        """
        levels = np.arange(self.low + self.step / 2, self.high, self.step)
        tails = ndtr((np.expand_dims(mean, -1) - levels) / np.expand_dims(sd, -1))
        return np.asarray(self.low + self.step * tails.sum(axis=-1), dtype=np.float64)


class Endpoint(Family):
    """A variable of the trial, computed from a patient's baseline and visit score."""

    better: Literal["lower", "higher"]

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Value at one visit, shape (patient, replicate); nan where the score is missing."""
        raise NotImplementedError

    def words(self) -> str:
        """Say the endpoint in words."""
        raise NotImplementedError


class Score(Endpoint):
    """The score itself, of one rating or of the mean of a week's daily ratings.

    A seven-day mean has a smaller error and a finer step (measures: NRS, NRS_7d_mean).
    """

    kind: Literal["score"] = "score"
    days: Literal[1, 7] = 1
    scale: Scale = Scale()
    better: Literal["lower", "higher"] = "lower"

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return the score."""
        return score

    def words(self) -> str:
        """Say the endpoint in words."""
        how = "mean of seven daily ratings" if self.days == 7 else "single rating"
        return f"pain intensity {self.scale.low:g}–{self.scale.high:g} ({how})"


class Responder(Endpoint):
    """Improvement from the patient's own baseline by at least a share of it (Dworkin et al. 2008,
    doi:10.1016/j.jpain.2007.09.005)."""

    kind: Literal["responder"] = "responder"
    reduction: float = Field(gt=0, le=1, description="share of the baseline score")
    better: Literal["lower", "higher"] = "higher"

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return 1 for a responder, 0 for none; a baseline of 0 cannot improve and is no response."""
        reached = (score <= (1 - self.reduction) * baseline + 1e-9) & (baseline > 0)
        return np.where(np.isnan(score), np.nan, reached)

    def words(self) -> str:
        """Say the endpoint in words."""
        return f"pain at least {self.reduction:.0%} below baseline"


class State(Endpoint):
    """A score at or below a limit: free or nearly free of pain."""

    kind: Literal["state"] = "state"
    at_most: float
    better: Literal["lower", "higher"] = "higher"

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return 1 where the score is at or below the limit, else 0."""
        return np.where(np.isnan(score), np.nan, score <= self.at_most + 1e-9)

    def words(self) -> str:
        """Say the endpoint in words."""
        return f"pain score {self.at_most:g} or less"
