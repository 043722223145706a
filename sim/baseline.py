"""Table 1 of a simulated trial beside the reported one, and how many who present are not randomised."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.claims import Draws, Posterior
from sim.core.streams import BLOCK_SIZE, Streams
from sim.population import Population
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.truth import Truth

Floats = NDArray[np.float64]

BLOCKS = 4
"""Blocks of trials whose patients are described: 512 trials."""
PATIENTS = 128
"""Patients of each of them that are described."""


@dataclass(frozen=True)
class Measured:
    """One baseline measure of the enrolled patients, and what a trial of this setting reported.

    Attributes
    ----------
    mean, sd
        Of the patients of one trial, averaged over the trials; of a binary measure the mean is the
        share that has it and there is no SD.
    mcse
        Monte Carlo standard error of the mean.
    difference
        Simulated less reported mean; nan where none is reported, as the reported values are.
    source
        Where the reported mean was read.
    """

    measure: str
    units: str
    mean: float
    sd: float
    mcse: float
    reported_mean: float
    reported_sd: float
    difference: float
    source: str


@dataclass(frozen=True)
class Failed:
    """Share of those who present whom an entry rule turns away (``any``: at least one rule does)."""

    rule: str
    share: float
    mcse: float


@dataclass(frozen=True)
class Enrolment:
    """The patients that a protocol enrols under a scenario, in the first blocks of a study."""

    protocol: Protocol
    scenario: Scenario
    seed: int
    posteriors: Mapping[str, Posterior]

    @property
    def _population(self) -> Population:
        return self.scenario.population

    def _blocks(self) -> Iterator[tuple[Truth, Streams]]:
        for block in range(BLOCKS):
            streams = Streams(self.seed, block)
            yield self.scenario.realise(self.protocol, Draws(streams, self.posteriors)), streams

    def patients(self) -> dict[str, Floats]:
        """Describe patients by measure, ``pain`` as it is rated: each (patient, replicate of all blocks)."""
        parts: dict[str, list[Floats]] = {}
        rules, n = self.protocol.eligibility, min(self.protocol.n, PATIENTS)
        for truth, streams in self._blocks():
            cohort = self._population.enrol(n, rules, truth.pain, streams)
            rated = self.protocol.pain.scale.score(cohort.rating.copy())
            described = self._population.describe(cohort, rules, streams)
            for name, values in {"pain": rated, **described}.items():
                parts.setdefault(name, []).append(values)
        return {name: np.concatenate(blocks, axis=1) for name, blocks in parts.items()}

    def table(self) -> list[Measured]:
        """Table 1: every baseline measure, simulated and reported."""
        return [self._measured(name, values) for name, values in self.patients().items()]

    def _measured(self, name: str, values: Floats) -> Measured:
        margin = self._population.covariates.get(name)
        binary = margin is not None and margin.shape == "binary"
        means = values.mean(axis=0)
        mean = float(means.mean())
        reported = {row.measure: row for row in self._population.reported}.get(name)
        wanted = reported.mean.mean(self.posteriors) if reported else np.nan
        spread = reported.sd.mean(self.posteriors) if reported and reported.sd else np.nan
        return Measured(
            measure=name,
            units=margin.units if margin else "points",
            mean=mean,
            sd=np.nan if binary else float(np.sqrt(values.var(axis=0, ddof=1).mean())),
            mcse=float(means.std(ddof=1) / np.sqrt(means.size)),
            reported_mean=wanted,
            reported_sd=spread,
            difference=mean - wanted,
            source=(reported.mean.source or "") if reported else "",
        )

    def screening(self) -> list[Failed]:
        """Shares of screen failure by rule; empty where the patients were already admitted."""
        parts: dict[str, list[Floats]] = {}
        for truth, streams in self._blocks():
            failed = self._population.screened(self.protocol.eligibility, truth.pain, streams)
            for rule, share in failed.items():
                parts.setdefault(rule, []).append(share)
        shares = {rule: np.concatenate(blocks) for rule, blocks in parts.items()}
        error = np.sqrt(BLOCKS * BLOCK_SIZE)
        return [
            Failed(rule, float(share.mean()), float(share.std(ddof=1) / error))
            for rule, share in shares.items()
        ]
