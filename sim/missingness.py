"""Why a measurement is missing: at random or not, visits missed and patients lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit, logit

from sim.claims import Assume, Positive, Read, Share
from sim.core.parts import Part
from sim.core.streams import Streams

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]

Mechanism = Literal["mcar", "mar", "mnar"]
"""What the chance of being missing depends on (Rubin 1976, doi:10.1093/biomet/63.3.581): nothing, the last
score that was seen, or the score that is not seen."""

NO_CHANGE = Assume(assume=1, because="missing completely at random: the score does not matter")


class MissedVisit(Part):
    """Single visits missed by patients who stay in the study.

    At a score of s the odds of a miss are those of ``probability`` × ``odds_ratio_per_point``^(s − 5).
    """

    mechanism: Mechanism = "mcar"
    probability: Share = Field(description="of missing a visit, at a score of 5")
    odds_ratio_per_point: Positive = NO_CHANGE


class Dropout(Part):
    """Patients lost to the study, whatever happens to their treatment.

    At a score of s the hazard is ``weekly_hazard`` × ``ratio_per_point``^(s − 5). Where the ratio is another
    one under a treatment, who leaves differs between arms although as many may.
    """

    mechanism: Mechanism = "mcar"
    weekly_hazard: Positive = Field(description="of leaving, at a score of 5")
    ratio_per_point: Positive = NO_CHANGE
    ratio_by_treatment: dict[str, Positive] = Field(
        {}, description="another ratio per point under these treatments"
    )


class Missing(Part):
    """What is not measured, beyond what treatments and withdrawal cause."""

    missed_visit: MissedVisit | None = None
    dropout: Dropout | None = None

    def levels(self, read: Read, treatments: Sequence[str] = ()) -> "MissingLevels":
        """Give the claims their values in each replicate of the block, in arms of these treatments."""
        visit, lost = self.missed_visit, self.dropout
        return MissingLevels(
            visit=_Rate(
                visit.mechanism,
                read("missing.missed_visit", visit.probability),
                read("missing.missed_visit.odds_ratio_per_point", visit.odds_ratio_per_point),
            )
            if visit
            else None,
            dropout=_dropout(lost, read, treatments) if lost else None,
        )


def _dropout(lost: Dropout, read: Read, treatments: Sequence[str]) -> "_Rate":
    ratio = read("missing.dropout.ratio_per_point", lost.ratio_per_point)
    own = {
        name: read(f"missing.dropout.ratio_by_treatment.{name}", claim)
        for name, claim in lost.ratio_by_treatment.items()
    }
    by_arm = np.stack([own.get(name, ratio) for name in treatments]) if own and treatments else None
    return _Rate(lost.mechanism, read("missing.dropout.weekly_hazard", lost.weekly_hazard), ratio, by_arm)


@dataclass(frozen=True)
class _Rate:
    """A probability or hazard at a score of 5, and its ratio for each point above, (replicate,).

    ``by_arm`` is the ratio in each arm, (arm, replicate); None: the same in all.
    """

    mechanism: Mechanism
    at_five: Floats
    ratio: Floats
    by_arm: Floats | None = None

    def under(self, arm: Ints) -> "_Rate":
        """Take each patient's own ratio, (patient, replicate)."""
        assert self.by_arm is not None
        place = arm * arm.shape[1] + np.arange(arm.shape[1])
        return replace(self, ratio=np.take(self.by_arm.ravel(), place))

    def factor(self, seen: Floats, now: Floats) -> Floats:
        """Ratio to the rate at 5 for patients whose last seen and present scores are these."""
        if self.mechanism == "mcar":
            return np.ones(self.at_five.shape)
        return np.asarray(self.ratio ** ((seen if self.mechanism == "mar" else now) - 5.0))


@dataclass(frozen=True)
class MissingLevels:
    """The values of the missingness claims in a block."""

    visit: _Rate | None
    dropout: _Rate | None

    def missed(self, baseline: Floats, score: Floats, weeks: Floats, streams: Streams) -> Mask | None:
        """Draw which visits are missed, a stream a visit: (patient, replicate, visit), or None for no visit.

        Parameters
        ----------
        baseline, score
            Complete scores, (patient, replicate) and (patient, replicate, visit).
        """
        if self.visit is None or not self.visit.at_five.any():
            return None
        seen, missed = baseline, np.empty(score.shape, dtype=bool)
        for visit, week in enumerate(weeks):
            now = score[:, :, visit]
            chance = expit(logit(self.visit.at_five) + np.log(self.visit.factor(seen, now)))
            gone = streams(f"missed visit week {week:g}").random(now.shape) < chance
            missed[:, :, visit] = gone
            seen = np.where(gone, seen, now)
        return missed

    def under(self, arm: Ints) -> "MissingLevels":
        """Take what holds in each patient's arm, (patient, replicate)."""
        if self.dropout is None or self.dropout.by_arm is None:
            return self
        return replace(self, dropout=self.dropout.under(arm))

    def leave(
        self, baseline: Floats, score: Floats, weeks: Floats, missed: Mask | None, streams: Streams
    ) -> Floats | None:
        """Draw the week in which each patient is lost, (patient, replicate); ``inf`` is never, None nobody.

        The hazard is held between visits; its cumulated value meets a unit exponential threshold.
        """
        if self.dropout is None or not self.dropout.at_five.any():
            return None
        left = streams("dropout").standard_exponential(baseline.shape)
        when, seen, begin = np.full(left.shape, np.inf), baseline, 0.0
        for visit, end in enumerate(weeks):
            now = score[:, :, visit]
            hazard = self.dropout.at_five * self.dropout.factor(seen, now)
            reached = (left < hazard * (end - begin)) & np.isinf(when)
            when = np.where(reached, begin + left / hazard, when)
            left = left - hazard * (end - begin)
            seen = now if missed is None else np.where(missed[:, :, visit], seen, now)
            begin = end
        return when
