"""How much of the planned treatment a patient takes, and what that does to its effect."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaincinv, betaln, gammaln

from sim.claims import AboveZero, Claim, Positive, Read, Share, within
from sim.core.errors import InputError
from sim.core.parts import Family
from sim.core.streams import Streams

Floats = NDArray[np.float64]


Inside = Annotated[Claim, within(1e-6, 1 - 1e-6)]
"""A share that is neither none nor all."""


class Adherence(Family):
    """Share of the planned treatment that each patient takes.

    ``slope`` is the dose–response: the relative change of the effect for a relative change of the share
    taken, 0 for none, 1 for proportional. The effect that trials report belongs to their mean adherence,
    so a patient at the mean has the whole effect: factor = 1 + slope × (share / mean share − 1).
    """

    slope: Claim

    def taken(self, uniform: Floats, name: str, read: Read) -> tuple[Floats, Floats]:
        """Give the share taken, (patient, replicate), and its mean, (replicate,), from standard uniforms."""
        raise NotImplementedError

    def factor(
        self, name: str, read: Read, shape: tuple[int, int], streams: Streams
    ) -> tuple[Floats, Floats]:
        """Give each patient's share and the factor of the effect, both (patient, replicate)."""
        share, mean = self.taken(streams("adherence").random(shape), name, read)
        slope = read(f"{name}.slope", self.slope)
        return share, 1 + slope * (share / mean - 1)


class Attendance(Adherence):
    """Sessions attended: some patients never come, the others follow a zero-truncated beta-binomial.

    The beta-binomial is Griffiths 1973, doi:10.2307/2529131; a share of structural zeros makes it the
    zero-inflated form that attendance of group programmes shows (population/README, section 6).
    """

    kind: Literal["attendance"] = "attendance"
    sessions: Annotated[int, Field(ge=1, le=200)]
    never: Share = Field(description="share of patients who attend no session")
    mean: Inside = Field(description="mean share of the sessions before zeros are truncated")
    concentration: AboveZero = Field(description="a + b of the beta distribution")

    def taken(self, uniform: Floats, name: str, read: Read) -> tuple[Floats, Floats]:
        """Invert the distribution function, session by session."""
        never, mean, worth = (
            read(f"{name}.{key}", getattr(self, key)) for key in ("never", "mean", "concentration")
        )
        mass = _beta_binomial(self.sessions, mean * worth, (1 - mean) * worth)
        mass[0] = 0
        mass *= (1 - never) / mass.sum(axis=0)
        mass[0] = never
        edges = mass.cumsum(axis=0)[:-1]
        attended = np.zeros(uniform.shape)
        for edge in edges:
            attended += uniform > edge
        shares = np.arange(self.sessions + 1) / self.sessions
        return attended / self.sessions, shares @ mass


class ShareTaken(Adherence):
    """A beta-distributed share of the tablets or of the home exercise, by its mean and SD.

    Mean and SD determine the beta distribution (Johnson, Kotz & Balakrishnan 1995, chapter 25).
    """

    kind: Literal["share_taken"] = "share_taken"
    mean: Inside
    sd: Positive

    def taken(self, uniform: Floats, name: str, read: Read) -> tuple[Floats, Floats]:
        """Invert the beta distribution."""
        mean, sd = read(f"{name}.mean", self.mean), read(f"{name}.sd", self.sd)
        if not sd.any():
            return np.broadcast_to(mean, uniform.shape), mean
        worth = mean * (1 - mean) / sd**2 - 1
        if (worth <= 0).any():
            raise InputError(f"{name}.sd: no beta distribution has mean {mean.max():g} and SD {sd.max():g}")
        return np.asarray(betaincinv(mean * worth, (1 - mean) * worth, uniform)), mean


def _beta_binomial(n: int, a: Floats, b: Floats) -> Floats:
    """Probabilities of 0 to n, (count, replicate)."""
    k = np.arange(n + 1)[:, None]
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(log_choose + betaln(k + a, n - k + b) - betaln(a, b)))
