"""What a study varies to see how far its answer depends on it: one thing of nature at a time."""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from sim.claims import Probability, claims_in
from sim.core.errors import InputError
from sim.core.loading import dump, override, validate
from sim.core.parts import Part, wrong
from sim.scenario import Scenario

Factor = Annotated[float, Field(gt=0)]


class Variation(Part):
    """One thing to vary, by its claims' paths in the scenario (``*`` stands for anything).

    ``by`` multiplies every one of these claims. ``doubt`` gives a claim that weight less: the share goes to
    a normal distribution around no effect with the SD ``doubt_sd``, so that 0 trusts the evidence whole.
    """

    what: str = Field(description="its name in the figure")
    claims: tuple[str, ...] = Field(min_length=1)
    by: tuple[Factor, Factor] | None = None
    doubt: tuple[Probability, Probability] | None = None
    doubt_sd: Annotated[float, Field(gt=0, description="in the claim's unit")] = 1.0
    because: str

    @model_validator(mode="after")
    def _varies_one_way(self) -> Self:
        if (self.by is None) == (self.doubt is None):
            raise wrong(f"variation '{self.what}': needs either 'by' (factors) or 'doubt' (weights)")
        return self

    @property
    def settings(self) -> tuple[float, float]:
        """The two values that are tried."""
        return self.by or self.doubt or (1.0, 1.0)

    @property
    def neutral(self) -> float:
        """The value that changes nothing."""
        return 1.0 if self.by else 0.0

    def words(self, setting: float) -> str:
        """Say one of its settings in short."""
        return f"× {setting:g}" if self.by else f"{setting:.0%} doubt".replace("%", " %")

    def paths(self, scenario: Scenario) -> tuple[str, ...]:
        """Paths of the claims that are varied, outermost ones only."""
        found: list[str] = []
        for path, _ in claims_in(scenario):
            inside = any(path.startswith((f"{outer}.", f"{outer}[")) for outer in found)
            if not inside and any(fnmatchcase(path, pattern) for pattern in self.claims):
                found.append(path)
        return tuple(found)

    def claim(self, held: Mapping[str, Any], setting: float) -> dict[str, Any]:
        """Return the claim that stands in for the one that the scenario holds."""
        if self.by:
            return {"kind": "scaled", "of": held, "by": {"assume": setting, "because": self.because}}
        vague = {"kind": "normal", "mean": 0, "sd": self.doubt_sd, "because": self.because}
        weights = ((held, 1 - setting), (vague, setting))
        parts = [{"from": part, "weight": weight, "because": self.because} for part, weight in weights]
        return {"kind": "mixture", "parts": parts}


STANDARD = (
    Variation(
        what="losses",
        claims=("treatments.*.withdrawal", "treatments.*.discontinuation.adverse_event.early",
                "treatments.*.discontinuation.adverse_event.later",
                "treatments.*.discontinuation.inefficacy.at_five", "treatments.*.discontinuation.other"),
        by=(0.5, 2), because="half and twice as many patients stop or leave",
    ),
    Variation(what="placebo response", claims=("course.response",), by=(0.5, 1.5),
              because="half as much, and half as much again"),
    Variation(what="spread of pain", claims=("population.variation.sd",), by=(0.8, 1.25),
              because="a fifth less, and a quarter more"),
    Variation(what="accrual", claims=("recruitment",), by=(0.5, 2), because="half and twice as fast"),
    Variation(what="prior weight", claims=("treatments.*.effect.plateau",), doubt=(0.2, 0.5),
              because="a fifth and a half of the belief is about no effect, SD 1 point"),
)  # fmt: skip
"""What is varied where a study does not say: dropout, placebo response, SD, accrual, prior weight."""


class Sensitivity(Part):
    """How far the success of a study's main trial depends on what is assumed of nature.

    ``protocol`` and ``scenario`` are the study's main ones unless they are named here.
    """

    vary: tuple[Variation, ...] = Field(STANDARD, min_length=1)
    protocol: str | None = None
    scenario: str | None = None
    replicates: Annotated[int, Field(ge=1, le=100_000)] = 512

    def varied(self, scenario: Scenario) -> tuple[Variation, ...]:
        """Return the variations that this scenario can take; of the standard ones some may find no claim.

        Raises
        ------
        InputError
            A variation that the study gives itself finds no claim.
        """
        for variation in self.vary:
            if variation not in STANDARD and not variation.paths(scenario):
                where = ", ".join(variation.claims)
                raise InputError(f"sensitivity.vary '{variation.what}': the scenario has no claim at {where}")
        return tuple(variation for variation in self.vary if variation.paths(scenario))

    def settings(self, scenario: Scenario) -> Iterator[tuple[Variation | None, float]]:
        """Yield what is run: first nothing varied, then each variation at each of its settings."""
        yield None, 1.0
        for variation in self.varied(scenario):
            for setting in variation.settings:
                yield variation, setting

    def scenario_at(self, scenario: Scenario, varied: Variation | None, setting: float) -> Scenario:
        """Put one variation at one setting into a scenario, and every other at what changes nothing.

        Each claim is wrapped in every run alike, so that it takes the same random numbers in all of them.

        Raises
        ------
        InputError
            A claim cannot take its value.
        """
        tree = dump(scenario)
        for variation in self.varied(scenario):
            for path in variation.paths(scenario):
                value = setting if variation is varied else variation.neutral
                claim = variation.claim(_at(tree, path), value)
                tree = override(tree, f"{path}={json.dumps(claim)}")
        return validate(tree, Scenario, "sensitivity")


def _at(tree: Mapping[str, Any], path: str) -> Any:
    node: Any = tree
    for key in path.split("."):
        node = node[key]
    return node
