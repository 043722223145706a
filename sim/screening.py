"""From those who present to those enrolled: by inversion where the law is simple, else one after another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from sim.core.errors import InputError
from sim.core.loops import combine
from sim.core.normal import quantile
from sim.core.same import Same
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import EntryRule

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PRESENTING = 256
"""People who present at a time, in each replicate; always so many, so that n decides nothing else."""
MOST_PRESENTING = 200
"""People screened for each one enrolled, at which screening is given up."""
OWN_NODES = 48
"""Nodes over what is felt, given a covariate, where two ratings admit."""
NODES = np.linspace(-8.0, 8.0, 801)
"""Standard normal scores over which the law of two ratings is integrated."""


@dataclass(frozen=True)
class FlareLevels:
    """A passing excess of pain with which people present; each (replicate,).

    Attributes
    ----------
    size, sd
        Mean and SD of the excess at baseline, points.
    half_weeks
        Weeks in which half of it fades.
    """

    size: Floats
    sd: Floats
    half_weeks: Floats


@dataclass(frozen=True)
class PainLevels:
    """Values of the pain claims for each replicate, shape (replicate,), points on 0–10.

    ``error`` is that of the rating at baseline and visits, ``step`` its scale's; ``single`` and ``weekly``
    are those of one rating and of a week's mean; ``flare`` is None where nobody presents on a flare.
    """

    mean: Floats
    sd: Floats
    error: Floats
    step: float = 1.0
    single: Floats | None = None
    weekly: Floats | None = None
    flare: FlareLevels | None = None

    @property
    def reliability(self) -> Floats:
        """Share of the rating's variance that is true and lasting, shape (replicate,)."""
        return self.sd**2 / self.spread(self.error) ** 2

    def error_of(self, rule: EntryRule, earlier: bool) -> Floats:
        """SD of the error of the rating to which a rule is applied, (replicate,), points.

        The variance of a mean of d days is a + b / d through those of one rating and of a week's mean:
        b is what differs from day to day, a what the week shares.
        """
        if not (earlier and rule.days) or self.single is None or self.weekly is None:
            return self.error
        daily = (self.single**2 - self.weekly**2) / (1 - 1 / 7)
        return np.sqrt(np.maximum(self.weekly**2 + daily * (1 / rule.days - 1 / 7), 0.0))

    @property
    def shown(self) -> Floats:
        """Mean rating of all who present, (replicate,)."""
        return self.mean + self.flare.size if self.flare else self.mean

    def spread(self, error: Floats) -> Floats:
        """SD of a rating of all who present, (replicate,)."""
        lasting = np.hypot(self.sd, error)
        return np.hypot(lasting, self.flare.sd) if self.flare else lasting

    def step_of(self, rule: EntryRule, earlier: bool) -> float:
        """Step of the rating to which the rule is applied: a mean of d ratings moves in steps of 1 / d."""
        return 1 / rule.days if earlier and rule.days else self.step


@dataclass(frozen=True)
class Cohort:
    """Enrolled patients, in the order of their enrolment.

    Attributes
    ----------
    true
        Lasting true pain at baseline, (patient, replicate), points on 0–10, unbounded.
    rating
        Unrounded baseline rating, same shape and units.
    screening_score
        Standard normal score of the true pain in the clinic, for the copula.
    flare, half_weeks
        Passing excess at baseline, (patient, replicate), points, and the weeks in which half of it fades,
        (replicate,); None where nobody presents on a flare.
    scores
        Standard normal scores of the covariates that an entry rule has looked at, by name.
    """

    true: Floats
    rating: Floats
    screening_score: Floats
    flare: Floats | None = None
    half_weeks: Floats | None = None
    scores: Mapping[str, Floats] = field(default_factory=dict)

    def add_flare(self, departure: Floats, weeks: Floats) -> None:
        """Add what is left of a flare to (patient, replicate, visit), in place."""
        if self.flare is not None and self.half_weeks is not None:
            departure += self.flare[:, :, None] * 2.0 ** (-weeks / self.half_weeks[:, None])


def pass_limits(rule: EntryRule, levels: PainLevels, earlier: bool = False) -> tuple[Floats, Floats]:
    """Probabilities of a rating below, and up to the top of the admitted range, shape (replicate,)."""
    low, high = rule.limits(levels.step_of(rule, earlier))
    spread = levels.spread(levels.error_of(rule, earlier))
    return ndtr((low - levels.shown) / spread), ndtr((high - levels.shown) / spread)


def admitted_variance(rule: EntryRule, levels: PainLevels) -> Floats:
    """Variance of lasting true pain among those whose rating is admitted, (replicate,), points².

    That of a truncated normal rating (Johnson, Kotz & Balakrishnan 1994, section 13.10.1), carried over to
    true pain by its reliability. A second rating, and rules on covariates, are left out.
    """
    earlier = rule.occasion == "screening"
    below, above = pass_limits(rule, levels, earlier)
    z = ndtri(np.stack([below, above]))
    density, edge = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi), np.where(np.isinf(z), 0.0, z)
    mass = above - below
    mean = (density[0] - density[1]) / mass
    kept = 1 + (edge[0] * density[0] - edge[1] * density[1]) / mass - mean**2
    reliability = levels.sd**2 / levels.spread(levels.error_of(rule, earlier)) ** 2
    return np.asarray(levels.sd**2 * (reliability * kept + 1 - reliability))


def admission(rule: EntryRule, levels: PainLevels, correlation: float, scores: Floats) -> Floats:
    """Chance that the rule admits people with these scores of a covariate, (replicate, score).

    Scores are standard normal; ``correlation`` is theirs with lasting true pain. One rating is normal given
    the score; of two ratings the chances are multiplied given what is felt, and integrated over it.
    """
    felt_sd = np.hypot(levels.sd, levels.flare.sd if levels.flare else 0.0)
    toward = (correlation * levels.sd / felt_sd)[:, None]
    apart = np.sqrt(1 - toward**2)

    def chance(felt: Floats, spread: Floats, earlier: bool) -> Floats:
        """Of a rating with this mean, in SDs of what is felt, and this SD."""
        low, high = rule.limits(levels.step_of(rule, earlier))
        error = levels.error_of(rule, earlier)[:, None]
        about = np.hypot(error, spread * felt_sd[:, None])
        mean = levels.shown[:, None] + felt_sd[:, None] * felt
        return np.asarray(ndtr((high - mean) / about) - ndtr((low - mean) / about))

    if rule.occasion != "both":
        return chance(toward * scores, apart, rule.occasion == "screening")
    own, weight = np.polynomial.hermite_e.hermegauss(OWN_NODES)
    total = np.zeros((len(felt_sd), len(scores)))
    for node, share in zip(own, weight / weight.sum(), strict=True):
        felt = toward * scores + apart * node
        total += share * chance(felt, np.zeros_like(apart), True) * chance(felt, np.zeros_like(apart), False)
    return total


@dataclass(frozen=True)
class AdmittedLaw:
    """How an admitted patient follows from a uniform and a normal number.

    Attributes
    ----------
    below, width
        Probability of a rating below the admitted range, and in it, (replicate,).
    weights
        Of the rating's normal score, of the own one, and a constant, for the rating, the score of true pain
        and true pain, (3, 3, replicate).
    error
        SD of the error of the rating to which the rule is applied, (replicate,), points.
    """

    below: Floats
    width: Floats
    weights: Floats
    error: Floats


@lru_cache(maxsize=32)
def _law_of(rule: EntryRule, same: Same[PainLevels]) -> AdmittedLaw:
    levels, earlier = same.value, rule.occasion == "screening"
    error = levels.error_of(rule, earlier)
    spread = levels.spread(error)
    reliability = levels.sd**2 / spread**2
    below, above = pass_limits(rule, levels, earlier)
    toward, apart, zero = np.sqrt(reliability), np.sqrt(1 - reliability), np.zeros_like(spread)
    weights = (
        (spread, zero, levels.shown),
        (toward, apart, zero),
        (levels.sd * toward, levels.sd * apart, levels.mean),
    )
    return AdmittedLaw(below, above - below, np.array(weights), error)


def by_inversion(rule: EntryRule, levels: PainLevels, n: int, streams: Streams) -> Cohort:
    """Draw ``n`` patients whose one rating is admitted, without drawing those whose rating is not.

    The rating is drawn from its distribution given the rule, true pain from its distribution given
    the rating: the same law as screening one person after another.
    """
    law = _law_of(rule, Same(levels))
    uniform = streams("screening").random((n, BLOCK_SIZE))
    uniform *= law.width
    uniform += law.below
    rating, true_z = quantile(uniform), streams("true pain").standard_normal((n, BLOCK_SIZE))
    true = np.empty_like(rating)
    combine(law.weights, rating, true_z, true)
    flare = _flare_given(rating - true, law.error, levels, streams) if levels.flare else None
    if rule.occasion == "screening":
        rating = true + levels.error * streams("baseline rating").standard_normal((n, BLOCK_SIZE))
        rating += 0.0 if flare is None else flare
    return Cohort(true, rating, true_z, flare, levels.flare.half_weeks if levels.flare else None)


def _flare_given(excess: Floats, error: Floats, levels: PainLevels, streams: Streams) -> Floats:
    """Draw the flare, given flare plus rating error, (patient, replicate)."""
    assert levels.flare
    size, sd = levels.flare.size, levels.flare.sd
    noise = np.where(sd + error > 0, sd**2 + error**2, 1.0)
    own = streams("flare").standard_normal(excess.shape)
    return np.asarray(size + sd**2 / noise * (excess - size) + sd * error / np.sqrt(noise) * own)


@dataclass(frozen=True)
class Presenting:
    """People who present, and who of them would be admitted; arrays are (person, replicate).

    Attributes
    ----------
    columns
        What is known of them: at least ``true``, ``rating`` and ``score``.
    passes
        Whom each rule admits, by the rule's name.
    """

    columns: Mapping[str, Floats]
    passes: Mapping[str, Bools]

    @property
    def admitted(self) -> Bools:
        """Who is admitted by every rule, (person, replicate)."""
        return np.asarray(np.logical_and.reduce(list(self.passes.values())))


def present(rule: EntryRule, levels: PainLevels, wave: int, streams: Streams) -> Presenting:
    """Draw a wave of people who present, with the ratings that the pain rule looks at."""
    shape = (PRESENTING, BLOCK_SIZE)

    def normal(name: str) -> Floats:
        return streams(f"presenting {wave}: {name}").standard_normal(shape)

    score = normal("true pain")
    columns = {"score": score, "true": levels.mean + levels.sd * score}
    felt = columns["true"]
    if levels.flare:
        columns["flare"] = levels.flare.size + levels.flare.sd * normal("flare")
        felt = felt + columns["flare"]
    columns["rating"] = felt + levels.error * normal("baseline rating")
    admitted = np.ones(shape, dtype=bool)
    if rule.occasion != "baseline":
        earlier = felt + levels.error_of(rule, earlier=True) * normal("screening rating")
        admitted &= _within(earlier, rule.limits(levels.step_of(rule, earlier=True)))
    if rule.occasion != "screening":
        admitted &= _within(columns["rating"], rule.limits(levels.step))
    return Presenting(columns, {"pain": admitted})


def _within(rating: Floats, limits: tuple[float, float]) -> Bools:
    return np.asarray((rating >= limits[0]) & (rating <= limits[1]))


def one_after_another(n: int, wave: Callable[[int], Presenting]) -> dict[str, Floats]:
    """Screen people in the order in which they present, until ``n`` are admitted in each replicate.

    The i-th patient of a replicate is the i-th of its people whom every rule admits, whatever ``n``.

    Returns
    -------
    dict
        The columns of the admitted, each (patient, replicate).

    Raises
    ------
    InputError
        Fewer than one in 200 of those who present are admitted.
    """
    filled = np.zeros(BLOCK_SIZE, dtype=np.int64)
    kept: dict[str, Floats] = {}
    most = -(-MOST_PRESENTING * (n + PRESENTING) // PRESENTING)
    for number in range(most):
        people = wave(number)
        admitted = people.admitted
        place = filled + np.cumsum(admitted, axis=0) - 1
        row, replicate = np.nonzero(admitted & (place < n))
        kept = kept or {name: np.empty((n, BLOCK_SIZE)) for name in people.columns}
        for name, column in people.columns.items():
            kept[name][place[row, replicate], replicate] = column[row, replicate]
        filled += admitted.sum(axis=0)
        if filled.min() >= n:
            return kept
    raise InputError(
        f"eligibility: fewer than 1 in {MOST_PRESENTING} who present pass the entry rules; loosen a rule"
    )


def regression_to_mean(rule: EntryRule, levels: PainLevels) -> Floats:
    """Expected fall from the baseline rating to later ones without any change in lasting pain.

    Shape (replicate,), points: the mean of the admitted baseline ratings less the mean of their true
    pain, so a flare's fading is part of it. For one rating, with m the mean of the admitted ratings that
    the rule looks at and M that of all, it is flare + (1 − reliability) × (m − M) at baseline (the mean of
    a truncated normal: Johnson, Kotz & Balakrishnan 1994, section 13.10.1); after an earlier rating only
    the flare's share of m − M is left. For two ratings the law is integrated over what is felt.
    """
    if rule.occasion == "both":
        return _after_two_ratings(rule, levels)
    earlier = rule.occasion == "screening"
    spread = levels.spread(levels.error_of(rule, earlier))
    below, above = pass_limits(rule, levels, earlier)
    density = np.exp(-0.5 * ndtri(np.stack([below, above])) ** 2) / np.sqrt(2 * np.pi)
    selected = spread * (density[0] - density[1]) / (above - below)
    size = levels.flare.size if levels.flare else 0.0
    passing = levels.flare.sd**2 if levels.flare else np.zeros_like(spread)
    lost = passing if earlier else spread**2 - levels.sd**2
    return np.asarray(size + lost / spread**2 * selected)


def _after_two_ratings(rule: EntryRule, levels: PainLevels) -> Floats:
    """Integrate over what is felt: true pain plus flare, on which the two ratings are independent."""
    passing = levels.flare.sd if levels.flare else np.zeros_like(levels.sd)
    felt_sd = np.hypot(levels.sd, passing)
    felt = levels.shown[:, None] + felt_sd[:, None] * NODES
    tails = []
    for earlier in (True, False):
        error = levels.error_of(rule, earlier)
        low, high = rule.limits(levels.step_of(rule, earlier))
        tails.append([(edge - felt) / error[:, None] for edge in (low, high)])
    chances = [ndtr(high) - ndtr(low) for low, high in tails]
    weight = np.exp(-0.5 * NODES**2) * chances[0] * chances[1]
    low, high = (np.exp(-0.5 * edge**2) / np.sqrt(2 * np.pi) for edge in tails[1])
    error_mean = levels.error[:, None] * (low - high) / np.maximum(chances[1], 1e-300)
    share = passing**2 / felt_sd**2
    excess = error_mean + share[:, None] * (felt - levels.shown[:, None])
    size = levels.flare.size if levels.flare else 0.0
    return np.asarray(size + (weight * excess).sum(axis=1) / weight.sum(axis=1))
