"""Designs on the same patients: what each takes and gives, and which are worth a choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.performance import Measured, average, deciding, success_metric, successes
from sim.protocol import Protocol
from sim.results import Cell, Results, read_blocks
from sim.study import Study

Floats = NDArray[np.float64]

WITHIN = 2.0
"""Monte Carlo errors within which two numbers are not told apart."""
BETTER = {"success": 1, "patients": -1, "weeks": -1, "cost": -1, "net_benefit": 1}
"""What is measured of a design, and whether more of it is better."""
COLUMNS = {"patients": "randomised", "weeks": "finished", "cost": "cost"}
"""Where the records of a trial have it."""
ALL = 10**9
"""More trials than any run has."""


@dataclass(frozen=True)
class Design:
    """One protocol at one size: what each replicate adds to each measure, (replicate,)."""

    name: str
    n: int
    shares: Mapping[str, Floats]

    @property
    def label(self) -> str:
        """Its name and size."""
        return f"{self.name}, n = {self.n}"

    def measured(self, measure: str) -> Measured:
        """Return a measure's mean and Monte Carlo error."""
        return average(self.shares[measure])

    def worth(self, success: float) -> "Design":
        """Return the design with the expected net benefit of a success that is worth so much."""
        net = success * self.shares["success"] - self.shares["cost"]
        return Design(self.name, self.n, {**self.shares, "net_benefit": net})

    def less(self, other: "Design", measure: str) -> Measured:
        """Return the paired difference from another design, over the replicates that both have."""
        common = min(len(self.shares[measure]), len(other.shares[measure]))
        return average(self.shares[measure][:common] - other.shares[measure][:common])

    def beats(self, other: "Design", better: Mapping[str, int]) -> bool:
        """Whether it is nowhere worse and somewhere better beyond ``WITHIN`` Monte Carlo errors.

        ``better`` has the measures that count, and whether more is better (1) or worse (-1).
        """
        gains = [(sign, self.less(other, measure)) for measure, sign in better.items()]
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
    currency
        Of the costs; None: the scenario has no prices.
    """

    scenario: str
    success: str
    designs: tuple[Design, ...]
    measures: tuple[str, ...]
    currency: str | None = None

    @classmethod
    def among(
        cls, study: Study, scenario: str, designs: Sequence[Design], worth: float | None = None
    ) -> "Choice":
        """Lay designs side by side; ``worth`` is that of a success, in the currency of their costs.

        Raises
        ------
        InputError
            There are no costs beside which a success could have a worth, or a success is an error.
        """
        nature = study.scenarios[scenario]
        success = success_metric(nature, next(iter(study.protocols.values())).looks[0].rule)
        known = [m for m in BETTER if all(m in design.shares for design in designs)]
        if worth is not None:
            if "cost" not in known:
                raise InputError("--worth: the run's scenario has no costs to set against it")
            if success == "type_1_error":
                raise InputError("--worth: under a null scenario a success is an error, and worth nothing")
            designs = [design.worth(worth) for design in designs]
            known.append("net_benefit")
        currency = nature.costs.currency if nature.costs else None
        return cls(scenario, success, tuple(designs), tuple(known), currency)

    @classmethod
    def of(
        cls, results: Results, study: Study, asked: tuple[str | None, float | None], at_most: int = ALL
    ) -> "Choice":
        """Read a run's designs, from ``at_most`` so many trials of each.

        Parameters
        ----------
        asked
            Name of the scenario (None: the first that is not null), and worth of a success (None: not asked).

        Raises
        ------
        InputError
            The run has no such scenario, or no costs beside which a success could have a worth.
        """
        name = chosen_scenario(study, asked[0])
        designs = [
            design
            for key, protocol in study.protocols.items()
            for design in _read(results, protocol, Cell(key, name), at_most)
        ]
        return cls.among(study, name, designs, asked[1])

    def front(self) -> tuple[Design, ...]:
        """Designs that no other one beats in all that is measured; the net benefit follows from the rest."""
        judged = {m: BETTER[m] for m in self.measures if m != "net_benefit"}
        if self.success == "type_1_error":
            judged["success"] = -1
        return tuple(d for d in self.designs if not any(other.beats(d, judged) for other in self.designs))

    def verdict(self, one: Design, other: Design, measure: str) -> str:
        """Say whether two designs can be told apart by a measure."""
        gain = one.less(other, measure)
        if gain.value == 0:
            return "equal"
        if not abs(gain.value) > WITHIN * gain.mcse:
            return "not distinguishable"
        return "higher" if gain.value > 0 else "lower"

    def rows(self, base: Design) -> list[dict[str, Any]]:
        """Lay every measure of every design out as a row, with its paired difference from ``base``."""
        front, rows = self.front(), []
        for design in self.designs:
            for measure in self.measures:
                found, gain = design.measured(measure), design.less(base, measure)
                rows.append(
                    {
                        "design": design.label,
                        "protocol": design.name,
                        "n": design.n,
                        "measure": measure,
                        "value": found.value,
                        "mcse": found.mcse,
                        "difference": gain.value,
                        "difference_mcse": gain.mcse,
                        "verdict": self.verdict(design, base, measure),
                        "front": design in front,
                    }
                )
        return rows


def chosen_scenario(study: Study, name: str | None) -> str:
    """Return the scenario of this name, or else the first that is not null."""
    alive = (key for key, scenario in study.scenarios.items() if not scenario.null)
    chosen = name or next(alive, next(iter(study.scenarios)))
    if chosen not in study.scenarios:
        hint = suggest(chosen, study.scenarios)
        raise InputError(f"--scenario: the run has no scenario '{chosen}':{hint}")
    return chosen


def _read(results: Results, protocol: Protocol, cell: Cell, at_most: int) -> list[Design]:
    """Designs of one protocol from the records of a run, by size."""
    used = min(results.provenance["replicates"][f"{cell.protocol}.{cell.scenario}"], at_most)
    tables = read_blocks(results.folder, cell, used, ("estimates", "trials"))
    estimates, trials = tables["estimates"], tables["trials"]
    found, decides = [], deciding(protocol, estimates)
    for size in np.unique(trials["n"]).tolist():
        mine, rows = trials["n"] == size, decides & (estimates["n"] == size)
        order = np.argsort(trials["replicate"][mine], kind="stable")
        won = successes(estimates["replicate"][rows], estimates["success"][rows], every=False)
        shares = {"success": won.astype(np.float64)}
        for measure, column in COLUMNS.items():
            if column in trials:
                shares[measure] = np.asarray(trials[column][mine][order], dtype=np.float64)
        found.append(Design(cell.protocol, size, shares))
    return found
