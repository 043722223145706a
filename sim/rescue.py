"""Rescue medication: an intercurrent event that comes and goes with pain and lowers the rating."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit, logit

from sim.claims import Claim, Positive, Read, Share
from sim.core.parts import Part
from sim.core.streams import Streams

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Rescue(Part):
    """Who takes rescue medication before a visit, and what it does to the rating.

    At a rating of r the odds are those of ``share_at_five`` × ``odds_ratio_per_point``^(r − 5).
    """

    share_at_five: Share = Field(description="share of patients who take it before a visit, at a rating of 5")
    odds_ratio_per_point: Positive
    relief: Claim = Field(description="change of the rating by the dose, points; negative is better")

    def levels(self, read: Read) -> "RescueLevels":
        """Give the claims their values in each replicate of the block."""
        return RescueLevels(
            read("rescue.share_at_five", self.share_at_five),
            read("rescue.odds_ratio_per_point", self.odds_ratio_per_point),
            read("rescue.relief", self.relief),
        )


@dataclass(frozen=True)
class RescueLevels:
    """The values of the rescue claims in a block, each (replicate,)."""

    share_at_five: Floats
    ratio: Floats
    relief: Floats

    def taken(self, latent: Floats, weeks: Floats, streams: Streams) -> Mask:
        """Draw who took rescue before each visit, (patient, replicate, visit), a stream a visit.

        Parameters
        ----------
        latent
            Unrounded ratings without rescue, (patient, replicate, visit).
        """
        taken = np.empty(latent.shape, dtype=bool)
        for visit, week in enumerate(weeks):
            rating = np.clip(latent[:, :, visit], 0.0, 10.0)
            chance = expit(logit(self.share_at_five) + np.log(self.ratio) * (rating - 5.0))
            taken[:, :, visit] = streams(f"rescue week {week:g}").random(rating.shape) < chance
        return taken
