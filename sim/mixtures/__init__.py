"""Finite mixtures of normal, beta and gamma distributions: conjugate priors and their updates."""

from sim.mixtures.base import Mixture
from sim.mixtures.beta import BetaMixture
from sim.mixtures.exchange import from_json, to_json
from sim.mixtures.fitting import Fit, fit
from sim.mixtures.gamma import GammaMixture
from sim.mixtures.normal import NormalMixture

__all__ = ["BetaMixture", "Fit", "GammaMixture", "Mixture", "NormalMixture", "fit", "from_json", "to_json"]
