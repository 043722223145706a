"""A finite mixture of distributions of one conjugate family."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from sim.core.errors import InputError

Floats = NDArray[np.float64]
WEIGHT_TOLERANCE = 1e-6
"""How far weights may sum from 1 before they are taken for an error instead of rounding."""


@dataclass(frozen=True, eq=False)
class Mixture(ABC):
    """Weights and parameters of a mixture, components on the first axis.

    Further axes, the same for all parameters, are independent mixtures (one for each replicate, say):
    values given to a method broadcast against them.

    Parameters
    ----------
    weight
        Of each component, shape (component, …); they sum to 1 over components.
    """

    weight: Floats

    names: ClassVar[tuple[str, str]]
    """Names of the two parameters of a component."""

    def __post_init__(self) -> None:
        """Make read-only float arrays of one shape and check their values."""
        given = np.broadcast_arrays(
            *(np.asarray(getattr(self, name), dtype=float) for name in ("weight", *self.names))
        )
        for name, array in zip(("weight", *self.names), given, strict=True):
            kept = np.atleast_1d(array).copy()
            kept.flags.writeable = False
            object.__setattr__(self, name, kept)
        total = self.weight.sum(axis=0)
        if not (np.all(self.weight >= 0) and np.all(abs(total - 1) < WEIGHT_TOLERANCE)):
            raise InputError(f"weights of a mixture must be 0 or more and sum to 1, got a sum of {total}")
        if not np.all(self._valid()):
            raise InputError(f"{type(self).__name__}: parameters out of range: {self.parameters()}")

    @classmethod
    def of(cls, *components: tuple[float, float, float], **settings: Any) -> Self:
        """Make a mixture of (weight, first parameter, second parameter) for each component."""
        rows: dict[str, Any] = dict(
            zip(("weight", *cls.names), np.array(components, dtype=float).T, strict=True)
        )
        return cls(**rows, **settings)

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.weight)

    def parameters(self) -> tuple[Floats, Floats]:
        """Return the two parameters of the components, each (component, …)."""
        first, second = self.names
        return getattr(self, first), getattr(self, second)

    @abstractmethod
    def _valid(self) -> NDArray[np.bool_]:
        """Whether each component's parameters are in range."""

    @abstractmethod
    def moments(self) -> tuple[Floats, Floats]:
        """Mean and variance of each component, shape (component, …)."""

    @abstractmethod
    def component_log_density(self, x: Floats) -> Floats:
        """Log density of each component, (component, …); ``x`` already broadcasts."""

    @abstractmethod
    def component_cdf(self, x: Floats) -> Floats:
        """Distribution function of each component, (component, …)."""

    @abstractmethod
    def component_quantile(self, p: Floats) -> Floats:
        """Quantile of each component, (component, …)."""

    @abstractmethod
    def slopes(self, x: Floats) -> tuple[Floats, Floats]:
        """First and second derivative of each component's log density at ``x``, (component, …)."""

    @abstractmethod
    def unit_information(self, x: Floats) -> Floats:
        """Fisher information of one observation at parameter value ``x``."""

    @abstractmethod
    def to_line(self, x: Floats) -> Floats:
        """Map the parameter to the whole real line, where its density is smooth."""

    @abstractmethod
    def from_line(self, t: Floats) -> tuple[Floats, Floats]:
        """Map the line back to the parameter; also the slope of that map."""

    def density(self, x: ArrayLike) -> Floats:
        """Density at ``x``, shape of ``x`` broadcast with the mixture's own axes."""
        return np.exp(self.log_density(x))

    def log_density(self, x: ArrayLike) -> Floats:
        """Log density at ``x``."""
        wide = self.spread(x)
        logs = wide.component_log_density(np.asarray(x, dtype=float))
        return np.asarray(logsumexp(logs, axis=0, b=wide.weight), dtype=float)

    def cdf(self, x: ArrayLike) -> Floats:
        """Probability of a value of at most ``x``."""
        wide = self.spread(x)
        return np.asarray((wide.weight * wide.component_cdf(np.asarray(x, dtype=float))).sum(axis=0))

    def quantile(self, p: ArrayLike) -> Floats:
        """Value that is exceeded with probability 1 − ``p``, 0 < ``p`` < 1.

        Solved by bisection between the smallest and the largest quantile of the components,
        which hold the solution between them.
        """
        p = np.asarray(p, dtype=float)
        bounds = self.spread(p).component_quantile(p)
        low, high = bounds.min(axis=0), bounds.max(axis=0)
        for _ in range(100):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high), dtype=float)

    def mean(self) -> Floats:
        """Mean of the mixture, one for each independent mixture."""
        return np.asarray((self.weight * self.moments()[0]).sum(axis=0))

    def sd(self) -> Floats:
        """Standard deviation of the mixture."""
        means, variances = self.moments()
        between = (means - self.mean()) ** 2
        return np.asarray(np.sqrt((self.weight * (variances + between)).sum(axis=0)))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Floats:
        """Draw values, shape ``size``: each is the quantile of one uniform number.

        So more draws extend fewer, and draws of two mixtures from the same stream are paired.
        """
        return self.quantile(rng.random(size))

    def with_component(self, weight: float, first: float, second: float) -> Self:
        """Add a component, scaling the others to what ``weight`` leaves."""
        if not 0 <= weight <= 1:
            raise InputError(f"weight of an added component must be between 0 and 1, got {weight}")
        added = {
            name: np.append(old, new)
            for name, old, new in zip(self.names, self.parameters(), (first, second), strict=True)
        }
        return replace(self, weight=np.append(self.weight * (1 - weight), weight), **added)

    def reweighted(self, log_likelihood: Floats, **parameters: Floats) -> Self:
        """Posterior mixture: weights by each component's marginal likelihood, its parameters updated."""
        log_likelihood, weight = np.broadcast_arrays(log_likelihood, self.spread(log_likelihood[0]).weight)
        best = np.where(weight > 0, log_likelihood, -np.inf).max(axis=0)
        scaled = weight * np.exp(np.minimum(log_likelihood - best, 0.0))
        return replace(self, weight=scaled / scaled.sum(axis=0), **parameters)

    def spread(self, x: ArrayLike) -> Self:
        """The same mixture with axes of length 1 put in, so that it broadcasts against ``x``."""
        missing = np.ndim(x) - (self.weight.ndim - 1)
        if missing <= 0:
            return self
        shape = (self.size, *[1] * missing, *self.weight.shape[1:])
        wide = object.__new__(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(
                wide, field.name, value.reshape(shape) if isinstance(value, np.ndarray) else value
            )
        return wide
