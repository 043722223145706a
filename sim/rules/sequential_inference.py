"""What a trial with looks may claim at its end: p-value, estimate and limits that allow for the stopping."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from sim.core.errors import InputError
from sim.rules.boundaries import Design, efficacy_alone
from sim.rules.crossing import Floats, Path, find_root, follow


@dataclass(frozen=True)
class Ended:
    """A trial at the look where it ended (or stands).

    Parameters
    ----------
    information
        1/SE² of the estimate at each look made, (look,), in 1/(unit of the effect)².
    upper
        Efficacy bounds on z at the looks before the last one made, (look − 1,).
    z
        Estimate/SE at the last look made.
    two_sided
        Whether the mirrored bounds would have stopped the trial too.
    lower
        Futility bounds on z at the looks before the last one made, which the trial obeyed; None: it had none,
        or would have gone on.
    """

    information: Floats
    upper: Floats
    z: float
    two_sided: bool = False
    lower: Floats | None = None

    def __post_init__(self) -> None:
        if len(self.upper) != len(self.information) - 1:
            raise InputError(
                f"bounds: {len(self.information)} looks need {len(self.information) - 1} earlier bounds"
            )

    @property
    def estimate(self) -> float:
        """Maximum likelihood estimate, in the unit of the effect."""
        return float(self.z / np.sqrt(self.information[-1]))


def stagewise_p(ended: Ended, effect: float = 0.0) -> float:
    """Return the one-sided p-value of "no more than ``effect``" under the stage-wise ordering.

    Crossing earlier is more extreme; at the same look, a larger z; then what ended for futility, the later
    the more (Tsiatis, Rosner & Mehta 1984, doi:10.2307/2530924). That is also the probability to cross an
    earlier efficacy bound, or to reach this look and have a larger z there. Futility bounds count where
    ``ended`` names them: the p-value is then uniform only if they are obeyed.
    """
    upper = np.append(ended.upper, ended.z)
    lower = -upper if ended.two_sided else np.full(len(upper), -np.inf)
    if ended.lower is not None:
        lower[:-1] = np.maximum(lower[:-1], ended.lower)
    return float(follow(ended.information, lower, upper, (effect, effect)).crossing(effect)[1].sum())


def effect_at(ended: Ended, p: float) -> float:
    """Return the effect whose stage-wise p-value is ``p``; 0.5 gives the median unbiased estimate."""
    wide = 9 / np.sqrt(ended.information[0])
    return find_root(
        lambda effect: stagewise_p(ended, effect) - p, ended.estimate - wide, ended.estimate + wide
    )


def conditional_effect(path: Path, look: int, z: float, limits: tuple[float, float]) -> float:
    """Return the conditional maximum likelihood estimate of the effect of a trial that ended at ``look``.

    The effect under which trials that end there for efficacy (or at the last look, however they end) have
    this score on average: the root of the conditional score (Troendle & Yu 1999, Communications in Statistics
    - Theory and Methods 28, 1617; Fan, DeMets & Lan 2004, doi:10.1081/BIP-120037195). It falls without limit
    as z comes down to the bound.

    Parameters
    ----------
    path
        Bounds that the trial followed, futility among them, with the ``limits`` as its reach.
    look, z
        From 0, and estimate over standard error there.
    limits
        Within which the effect is looked for; what lies beyond is put there.
    """
    t = float(path.information[look])
    last = look == len(path.information) - 1
    bound = -np.inf if last else float(path.upper[look])

    def missing(effect: float) -> float:
        return path.before[look].mean_beyond(t, effect, bound) - z * float(np.sqrt(t))

    return find_root(missing, *limits)


def confidence_limits(ended: Ended, alpha: float) -> tuple[float, float]:
    """Return the limits that have error ``alpha`` on each side under the stage-wise ordering."""
    return effect_at(ended, alpha), effect_at(ended, 1 - alpha)


def repeated_confidence_interval(z: float, information: float, bound: float) -> tuple[float, float]:
    """Return (z ∓ bound)/√information: holds whatever the reason to stop (Jennison & Turnbull 1989).

    Parameters
    ----------
    z, information, bound
        Estimate/SE, 1/SE² and efficacy bound of one look.
    """
    return (z - bound) / np.sqrt(information), (z + bound) / np.sqrt(information)


def repeated_p(design: Design, look: int, z: float) -> float:
    """Return the smallest one-sided alpha at which ``design`` rejects with ``z`` at ``look`` (from 1)."""

    def bound_less_z(quantile: float) -> float:
        alpha = float(design.sided * _tail(quantile))
        return float(efficacy_alone(design.model_copy(update={"alpha": alpha})).upper[look - 1]) - z

    return _tail(find_root(bound_less_z, float(ndtri(1e-3)), float(-ndtri(1e-12))))


def _tail(quantile: float) -> float:
    return float(ndtr(-quantile))
