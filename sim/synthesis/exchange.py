"""Exchange between stages: what a fit of another stage says of a treatment's effect."""

from typing import Literal

from sim.core.parts import Part
from sim.synthesis.priors import Positive, Reason


class OtherStage(Part):
    """Effect of a treatment in another stage's fit (``mean`` and ``sd`` of its ``effects.csv``, points).

    The effects of the two stages differ by a normal deviation of SD ``between_stages``, so that the other
    fit enters as a normal factor of the prior: N(mean, sd² + between_stages²). An infinite SD would be no
    exchange, 0 one effect for both (a commensurate prior: Hobbs et al. 2011,
    doi:10.1111/j.1541-0420.2011.01564.x).
    """

    stage: Literal["acute", "subacute", "chronic"]
    treatment: str
    mean: float
    sd: Positive
    between_stages: Positive
    because: Reason

    @property
    def spread(self) -> float:
        """SD with which the other stage foretells this one's effect, points."""
        return float((self.sd**2 + self.between_stages**2) ** 0.5)
