"""What the fit says of a typical trial's mean pain, on the scale that trials report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.endpoints import clipped_mean
from sim.synthesis.draws import Arrays
from sim.synthesis.network import Floats
from sim.synthesis.scales import BOUNDS, Spread

ENDLESS = 520.0


@dataclass(frozen=True, eq=False)
class Course:
    """Mean pain through time under each treatment, for every posterior draw (formulas: docs/synthesis.md).

    The trial begins at the mean baseline of the trials that entered and responds to placebo as trials do on
    average; nothing is drawn for a new trial, so differences are means over trials, as reviews report.

    Parameters
    ----------
    draws
        As ``draws.joint_draws`` gives them.
    spread
        Between-patient SD by week, where the draws hold none.
    """

    draws: Arrays
    spread: Spread

    @cached_property
    def treatments(self) -> list[str]:
        """Treatments of the network."""
        return [str(name) for name in self.draws["treatments"]]

    def knows(self, *treatments: str) -> bool:
        """Whether the network has all of them."""
        return set(treatments) <= set(self.treatments)

    def latent(self, treatment: str, week: float, end: float) -> Floats:
        """Latent mean at ``week`` of a course that ends at ``end``, shape (draw,)."""
        k = self.treatments.index(treatment)
        class_ = int(self.draws["class_of"][k])
        onset = self.draws["effect_half_weeks"][:, class_]
        stays = self.draws["persistence_half_weeks"][:, class_]
        whole = 1 - 2 ** (-min(end, ENDLESS) / onset)
        present = (1 - 2 ** (-min(week, end, ENDLESS) / onset)) / whole * 2 ** (-max(week - end, 0.0) / stays)
        risen = 1 - 2 ** (-week / self.draws["response_half_weeks"])
        baseline = self.draws["study_baseline"].mean(axis=1)
        return np.asarray(
            baseline - self.draws["response"] * risen + self.draws["effect"][:, k] * present, dtype=float
        )

    def sd(self, week: float) -> Floats:
        """SD of ratings between patients, shape (draw,) or ()."""
        if "study_sd" not in self.draws:
            return self.spread.sd(week)
        typical = np.exp(np.log(self.draws["study_sd"]).mean(axis=1))
        return np.asarray(typical * (1 + week) ** self.draws["sd_growth"])

    def observed(self, treatment: str, week: float, end: float) -> Floats:
        """Mean of the ratings, shape (draw,), points of 0 to 10."""
        return np.asarray(clipped_mean(self.latent(treatment, week, end), self.sd(week), BOUNDS))

    def difference(self, pair: Sequence[str], week: float, end: float) -> Floats:
        """Mean rating under the first treatment less that under the second, shape (draw,)."""
        first, second = (self.observed(treatment, week, end) for treatment in pair)
        return np.asarray(first - second)
