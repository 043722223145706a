"""Effects of a synthesis as mixtures of normal distributions, in the JSON that RBesT reads."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.claims import Posterior
from sim.mixtures import NormalMixture, fit

PENALTY = 6.0
"""Cost of a parameter: a component must earn its place, as in RBesT's automixfit."""


@dataclass(frozen=True)
class Prior:
    """The effect that a new trial of a treatment would have, in latent points of 0 to 10; negative is better.

    Attributes
    ----------
    mixture
        Fitted to the predictive draws.
    mean, sd
        Of the draws.
    furthest
        Largest distance between the distribution functions of the draws and the mixture.
    """

    treatment: str
    mixture: NormalMixture
    mean: float
    sd: float
    furthest: float


def priors(posterior: Posterior) -> Iterator[Prior]:
    """Yield a prior for each treatment of a network synthesis.

    Raises
    ------
    InputError
        The synthesis has no treatment effects.
    """
    effects = posterior.array("effect_new")
    for place, treatment in enumerate(posterior.array("treatments")):
        draws = np.sort(np.asarray(effects[:, place], dtype=np.float64))
        if draws[0] == draws[-1]:
            continue  # the reference, whose effect is 0
        mixture = fit(NormalMixture, draws, penalty=PENALTY).mixture
        below = mixture.cdf(draws)
        steps = np.arange(len(draws) + 1) / len(draws)
        distance = np.maximum(np.abs(below - steps[1:]), np.abs(below - steps[:-1]))
        yield Prior(
            str(treatment), mixture, float(draws.mean()), float(draws.std(ddof=1)), float(distance.max())
        )
