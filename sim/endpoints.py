"""What is seen of a latent pain: rated with error, rounded and clipped to the scale."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr

from sim.core.loops import reach, round_to_grid
from sim.core.parts import Family, Part, wrong
from sim.measures import measure

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
    of
        Where many visits share few baselines: for each visit, the place of its own among those of
        ``baseline``, whose densities are then computed once.
    """

    baseline: tuple[Any, Any]
    visit: tuple[Any, Any]
    correlation: Any
    of: NDArray[np.int64] | None = None

    def responders(
        self,
        reduction: Any,
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
        mass = pdf(z) * (weight / _nodes(spread))
        if admitted != EVERYBODY:
            mass = mass / _nodes(cdf((admitted[1] - start) / spread) - cdf((admitted[0] - start) / spread))
        if self.of is not None:
            z, mass = z[self.of], mass[self.of]
        left = (1 - self.correlation**2) ** 0.5
        reached = cdf((reach - _nodes(mean)) * _nodes(1 / (sd * left)) - _nodes(self.correlation / left) * z)
        return (reached * mass).sum(axis=-1)


def _nodes(value: Any) -> Any:
    """Give ``value`` a last axis for the quadrature's nodes; a number stays a number."""
    return value[..., None] if getattr(value, "ndim", 0) else value


NODES = 4
"""Gauss–Legendre nodes within one score: shares within 1.3e-5 for SDs from 0.8 and correlations up to 0.9
(against forty nodes); three miss up to 3.4e-4 where narrow ratings correlate."""
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
        """Round to the nearest step from ``low`` and clip to the scale; overwrites ``latent``, any shape."""
        flat = latent.ravel(order="K")
        if np.may_share_memory(flat, latent):
            round_to_grid(flat, self.low, self.high, self.step)
            return latent
        flat = latent.ravel()  # a part of a larger array, in the order in which it is filled again
        round_to_grid(flat, self.low, self.high, self.step)
        latent[...] = flat.reshape(latent.shape)
        return latent

    def mean(self, mean: Floats, sd: Floats) -> Floats:
        """Exact mean of the rounded and clipped score of a normal latent, same shape as ``mean``.

        A score on a grid is low + step × (number of midpoints below the latent), so its mean is a sum
        of normal tail probabilities.
        """
        levels = np.arange(self.low + self.step / 2, self.high, self.step)
        tails = ndtr((np.expand_dims(mean, -1) - levels) / np.expand_dims(sd, -1))
        return np.asarray(self.low + self.step * tails.sum(axis=-1), dtype=np.float64)


PAIN = "pain"
"""The trial's own pain rating among the instruments; others are named by their row of measures.csv."""

Outcome = Literal["continuous", "binary", "time"]


class Endpoint(Family):
    """A variable of the trial, computed from a patient's baseline and visit scores on one instrument."""

    outcome: ClassVar[Outcome]
    better: Literal["lower", "higher"]

    @property
    def instrument(self) -> str:
        """The instrument that the variable is computed from."""
        return PAIN

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Value at one visit, shape (patient, replicate); nan where the score is missing."""
        raise NotImplementedError

    def words(self) -> str:
        """Say the endpoint in words."""
        raise NotImplementedError


class Continuous(Endpoint):
    """The score itself on an instrument."""

    outcome: ClassVar[Outcome] = "continuous"

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return the score."""
        return score


class Score(Continuous):
    """The pain score itself, of one rating or of the mean of a week's daily ratings.

    A seven-day mean has a smaller error and a finer step (measures: NRS, NRS_7d_mean).
    """

    kind: Literal["score"] = "score"
    days: Literal[1, 7] = 1
    scale: Scale = Scale()
    better: Literal["lower", "higher"] = "lower"

    def words(self) -> str:
        """Say the endpoint in words."""
        how = "mean of seven daily ratings" if self.days == 7 else "single rating"
        return f"pain intensity {self.scale.low:g}–{self.scale.high:g} ({how})"


class MeasureScore(Continuous):
    """The score on another instrument, by its row of ``sim/measures.csv``: range, step and direction.

    What nature does to it is said by the scenario (``other_outcomes``).
    """

    kind: Literal["measure"] = "measure"
    measure: str
    better: Literal["lower", "higher"] = "lower"

    @model_validator(mode="before")
    @classmethod
    def _directed_as_its_row(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "better" not in value and "measure" in value:
            return {**value, "better": measure(str(value["measure"])).better}
        return value

    @property
    def instrument(self) -> str:
        """The measure's name."""
        return self.measure

    @property
    def scale(self) -> Scale:
        """Range and step of the measure."""
        row = measure(self.measure)
        return Scale(low=row.low, high=row.high, step=row.step)

    def words(self) -> str:
        """Say the endpoint in words."""
        row = measure(self.measure)
        return f"{row.construct} ({row.full_name}, {row.low:g} to {row.high:g}, {row.better} is better)"


class Derived(Endpoint):
    """A variable derived from the scores on pain or on another instrument."""

    of: str = Field(PAIN, description="'pain', or a measure of measures.csv")

    @model_validator(mode="after")
    def _of_a_known_instrument(self) -> Self:
        if self.of != PAIN:
            measure(self.of)
        return self

    @property
    def instrument(self) -> str:
        """The instrument that it is derived from."""
        return self.of

    @property
    def sign(self) -> float:
        """1 where lower scores are better, −1 where higher ones are."""
        return 1.0 if self.of == PAIN or measure(self.of).better == "lower" else -1.0


class Responder(Derived):
    """Improvement from the patient's own baseline by a share of it, or by so many points.

    Shares of 30 and 50 %: Dworkin et al. 2008, doi:10.1016/j.jpain.2007.09.005. Points that matter to
    patients: Ostelo et al. 2008, doi:10.1097/BRS.0b013e31815e3a10.
    """

    outcome: ClassVar[Outcome] = "binary"
    kind: Literal["responder"] = "responder"
    reduction: float | None = Field(None, gt=0, le=1, description="share of the baseline score")
    points: float | None = Field(None, gt=0, description="points of the instrument")
    better: Literal["lower", "higher"] = "higher"

    @model_validator(mode="after")
    def _by_share_or_points(self) -> Self:
        if (self.reduction is None) == (self.points is None):
            raise wrong("a responder is defined by one of 'reduction' (share of baseline) and 'points'")
        return self

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return 1 for a responder, 0 for none; a share of a baseline of 0 is no response."""
        baseline, score = np.broadcast_arrays(baseline, score)
        found = np.empty(score.shape)
        if self.points is not None:
            needed = 0.0, self.points - 1e-9, -np.inf
        else:
            needed = float(self.reduction or 0), -1e-9, 0.0
        reach((baseline.ravel(), score.ravel()), self.sign, needed, found.reshape(-1))
        return found

    def words(self) -> str:
        """Say the endpoint in words."""
        by = f"{self.points:g} points" if self.points is not None else f"{self.reduction:.0%}"
        return f"{self.of} at least {by} {'below' if self.sign > 0 else 'above'} baseline"


class State(Derived):
    """A score at or beyond a limit: free or nearly free of pain, little disability.

    Recovery as pain of 0 or 1: Ashar et al. 2022, doi:10.1001/jamapsychiatry.2021.2669; as an RMDQ of 2 or
    less: Kamper et al. 2010, doi:10.1007/s00586-010-1366-1.
    """

    outcome: ClassVar[Outcome] = "binary"
    kind: Literal["state"] = "state"
    at_most: float | None = None
    at_least: float | None = Field(None, description="for an instrument on which higher is better")
    better: Literal["lower", "higher"] = "higher"

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise wrong("a state has one limit: 'at_most' or 'at_least'")
        return self

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return 1 where the score is at or beyond the limit, else 0."""
        if self.at_most is not None:
            reached = score <= self.at_most + 1e-9
        else:
            reached = score >= float(self.at_least or 0) - 1e-9
        return reached + 0.0 * score  # nan where the score is

    def words(self) -> str:
        """Say the endpoint in words."""
        limit = f"{self.at_most:g} or less" if self.at_most is not None else f"{self.at_least:g} or more"
        return f"{self.of} score {limit}"


class TimeToResponse(Derived):
    """Weeks until a response that lasts: reached at a visit and kept at the following ones.

    The week is that of the first of ``visits`` consecutive visits with the response. A patient without
    one is censored at the last visit seen. Days in a row define recovery in the PACE trial (Williams et
    al. 2014, doi:10.1016/S0140-6736(14)60805-9).
    """

    outcome: ClassVar[Outcome] = "time"
    kind: Literal["time_to_response"] = "time_to_response"
    reduction: float = Field(gt=0, le=1, description="share of the baseline score")
    visits: int = Field(2, ge=1, le=20, description="consecutive visits that must show it")
    better: Literal["lower", "higher"] = Field(
        "higher", description="of the hazard of a response: the sooner the better"
    )

    def value(self, baseline: Floats, score: Floats) -> Floats:
        """Return 1 where the response is there at one visit, 0 where not, nan where it is not seen."""
        gain = self.sign * (baseline - score)
        return np.where(np.isnan(score), np.nan, (gain >= self.reduction * baseline - 1e-9) & (baseline > 0))

    def times(self, baseline: Floats, scores: Floats, weeks: Floats) -> tuple[Floats, Floats]:
        """Weeks to the response or to censoring, and 1 for a response, 0 for censored.

        Parameters
        ----------
        baseline, scores
            (patient, replicate), and (patient, replicate, visit) with nan for missing.
        weeks
            Of the visits, (visit,).
        """
        shown = self.value(baseline[:, :, None], scores) == 1
        last = np.zeros(baseline.shape)
        when = np.full(baseline.shape, np.inf)
        for visit in reversed(range(len(weeks))):
            unseen = (last == 0) & ~np.isnan(scores[:, :, visit])
            last[unseen] = weeks[visit]
            if visit + self.visits <= len(weeks):
                kept = shown[:, :, visit : visit + self.visits].all(axis=2)
                when[kept] = weeks[visit]
        responded = np.isfinite(when)
        return np.where(responded, when, last), responded.astype(np.float64)

    def words(self) -> str:
        """Say the endpoint in words."""
        how_much = f"{self.of} is at least {self.reduction:.0%} below baseline"
        return f"weeks until {how_much} at {self.visits} visits in a row"
