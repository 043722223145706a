"""The designs of one run on the same patients: what each takes and gives, and which are worth a choice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.cli.differences import WITHIN, Run
from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.performance import Measured, average, success_metric

Floats = NDArray[np.float64]

BETTER = {"success": 1, "patients": -1, "weeks": -1, "cost": -1, "net_benefit": 1}
"""What is measured of a design, and whether more of it is better."""


@dataclass(frozen=True)
class Design:
    """One protocol at one size: what each replicate adds to each measure, (replicate,)."""

    name: str
    n: int
    shares: dict[str, Floats]

    @property
    def label(self) -> str:
        """Its name and size."""
        return f"{self.name}, n = {self.n}"

    def measured(self, measure: str) -> Measured:
        """Return a measure's mean and Monte Carlo error."""
        return average(self.shares[measure])

    def less(self, other: "Design", measure: str) -> Measured:
        """Return the paired difference from another design, over the replicates that both have."""
        common = min(len(self.shares[measure]), len(other.shares[measure]))
        return average(self.shares[measure][:common] - other.shares[measure][:common])

    def beats(self, other: "Design", measures: tuple[str, ...]) -> bool:
        """Whether it is nowhere worse and somewhere better beyond ``WITHIN`` Monte Carlo errors."""
        gains = [(BETTER[measure], self.less(other, measure)) for measure in measures]
        surely = any(sign * gain.value > WITHIN * gain.mcse for sign, gain in gains)
        return surely and all(sign * gain.value >= 0 for sign, gain in gains)


@dataclass(frozen=True)
class Choice:
    """Designs under one scenario.

    Attributes
    ----------
    success
        What their success rate is called.
    measures
        What is known of every design.
    """

    scenario: str
    success: str
    designs: tuple[Design, ...]
    measures: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, scenario: str | None = None, worth: float | None = None) -> "Choice":
        """Read a run's designs; ``worth`` is that of a success, in the currency of its costs.

        Success is that of any compared arm on the first look's estimand.

        Raises
        ------
        InputError
            The run has no such scenario, or no costs beside which a success could have a worth.
        """
        study = run.study
        name = scenario or next(
            (k for k, s in study.scenarios.items() if not s.null), next(iter(study.scenarios))
        )
        if name not in study.scenarios:
            raise InputError(f"--scenario: the run has no scenario '{name}':{suggest(name, study.scenarios)}")
        designs = [design for protocol in study.protocols for design in _sizes(run, protocol, name)]
        known = [m for m in BETTER if all(m in design.shares for design in designs)]
        if worth is not None:
            if "cost" not in known:
                raise InputError("--worth: the run's scenario has no costs to set against it")
            for design in designs:
                design.shares["net_benefit"] = worth * design.shares["success"] - design.shares["cost"]
            known.append("net_benefit")
        rule = next(iter(study.protocols.values())).looks[0].rule
        return cls(name, success_metric(study.scenarios[name], rule), tuple(designs), tuple(known))

    def front(self) -> tuple[Design, ...]:
        """Designs that no other one beats in all that is measured; the net benefit follows from the rest."""
        judged = tuple(m for m in self.measures if m != "net_benefit")
        return tuple(d for d in self.designs if not any(other.beats(d, judged) for other in self.designs))

    def verdict(self, one: Design, other: Design, measure: str) -> str:
        """Say whether two designs can be told apart by a measure."""
        gain = one.less(other, measure)
        if gain.value == 0:
            return "equal"
        if not abs(gain.value) > WITHIN * gain.mcse:
            return "not distinguishable"
        return "higher" if gain.value > 0 else "lower"


def _sizes(run: Run, protocol: str, scenario: str) -> list[Design]:
    trials = run.results.records(protocol, scenario, "trials").sort_values("replicate")
    estimates = run.results.records(protocol, scenario, "estimates")
    first = run.study.protocols[protocol].looks[0].analysis.estimand
    estimates = estimates[estimates["estimand"] == first]
    found = []
    for size in sorted(trials["n"].unique()):
        mine = trials[trials["n"] == size]
        won = estimates[estimates["n"] == size].groupby("replicate")["success"].any().sort_index()
        shares = {"success": won.to_numpy(float), "patients": mine["randomised"].to_numpy(float)}
        shares["weeks"] = mine["finished"].to_numpy(float)
        if "cost" in mine:
            shares["cost"] = mine["cost"].to_numpy(float)
        found.append(Design(protocol, int(size), shares))
    return found
