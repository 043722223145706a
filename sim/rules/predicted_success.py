"""Stopping by how probable success at the end is, seen from an interim look."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtr, ndtri

from sim.analyses.base import Estimate
from sim.core.parts import wrong
from sim.rules.base import Looks, Mask, Rule


class PredictedSuccess(Rule):
    """Met where the predictive probability of a significant result at the end is ``at_least`` so large.

    With z at the share t of the patients and a flat prior it is Φ((z − √t·z(1 − α))/√(1 − t)) (Spiegelhalter,
    Freedman & Blackburn 1986, doi:10.1016/0197-2456(86)90003-6). For ``interim_rules``: stop if success is as
    good as certain, go on only while it is not too improbable. The end is that of the patients planned when
    the look comes; what may be changed at it, and later looks, are not foreseen.
    """

    kind: Literal["predicted_success"] = "predicted_success"
    at_least: Annotated[float, Field(gt=0, lt=1)]
    alpha: Annotated[float, Field(gt=0, lt=0.5, description="one-sided, of the test at the end")] = 0.025

    def check_looks(self, interim: int) -> None:
        """Refuse to be asked at the end, where nothing is left to predict."""
        if not interim:
            raise wrong(
                "predicted_success: is for interim looks alone, in 'interim_rules'; use one_sided here"
            )

    def success(self, estimate: Estimate, better: str) -> Mask:
        """Test at the level of the end, where nothing is left to predict."""
        with np.errstate(invalid="ignore"):
            return np.asarray(estimate.one_sided_p(better) <= self.alpha)

    def at_looks(self, estimate: Estimate, better: str, looks: Looks) -> Mask:
        """Predict the end from each look, by its share of the patients then planned."""
        z = np.asarray(looks.of(-ndtri(estimate.one_sided_p(better))), dtype=np.float64)
        seen = np.array(looks.fractions)[:, None] if looks.done is None else looks.done
        left = np.maximum(1 - seen, 1e-12)
        with np.errstate(invalid="ignore"):
            predicted = ndtr((z + np.sqrt(seen) * ndtri(self.alpha)) / np.sqrt(left))
            return np.asarray(predicted >= self.at_least)

    def words(self) -> str:
        """Say the rule in words."""
        return (
            f"predictive probability of {self.at_least:g} or more of one-sided significance at "
            f"{self.alpha:g} at the end"
        )
