"""What a design on sufficient statistics has to offer."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from sim.core.parts import Family

Outcomes = dict[str, NDArray[Any]]


class Engine(Family):
    """A whole design that is simulated by its sufficient statistics, under stated truths."""

    home: ClassVar[str] = "sim.sufficient"
    truth_means: ClassVar[str] = ""
    """What the values of a truth are, in words."""

    def values_needed(self) -> int | None:
        """Return how many values a truth has; None: any number."""
        return None

    def outcomes(self, truth: tuple[float, ...], seed: int, trials: int) -> Outcomes:
        """Simulate and return what came of each trial by name, (trial,): yes or no, or a number."""
        raise NotImplementedError

    def words(self) -> str:
        """Say the design in words."""
        raise NotImplementedError
