"""One trial of a study rebuilt from its seed, look by look and patient by patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.core.streams import BLOCK_SIZE
from sim.data import ABSENT
from sim.events import REASONS
from sim.execution import TRUTH_PATIENTS, Plan, draws_of
from sim.protocol import Protocol
from sim.records import tabulate
from sim.study import Study
from sim.trial import TrialRecord, simulate
from sim.true_values import true_values

Floats = NDArray[np.float64]
Row = dict[str, Any]

GO_ON = "go on"
"""Decision of a look that ends nothing."""


@dataclass(frozen=True)
class Trial:
    """One replicate, rebuilt from its seed.

    Attributes
    ----------
    protocol
        What was chosen.
    looks
        Rows of the records that a run writes: size, estimand, compared arm, estimate, p, success.
    record
        The block that the trial belongs to; ``column`` is the trial's place in it.
    enrolled
        Week of randomisation since the first site opened, (patient, replicate).
    covariates
        Baseline covariates by name, (patient, replicate), in their units.
    units
        Of each covariate.
    """

    protocol: Protocol
    looks: list[Row]
    record: TrialRecord
    column: int
    enrolled: Floats
    covariates: Mapping[str, Floats]
    units: Mapping[str, str]

    def course(self) -> list[Row]:
        """Say what every look of the first analysis saw, a row a compared arm and look, to the arm's end.

        ``patients`` have passed the primary visit at that look; ``decision`` is what the rule then did.
        """
        finding, c = self.record.findings[0], self.column
        estimand = self.protocol.estimands[finding.estimand]
        better = estimand.better(self.protocol.endpoints[estimand.endpoint])
        estimate = finding.estimate
        cuts, looks = self.protocol.looks_of(self.record.sizes)
        columns = {"analysed": estimate.n, "estimate": estimate.estimate, "se": estimate.se}
        columns |= {"low": estimate.low, "high": estimate.high, "p": estimate.one_sided_p(better)}
        rows = []
        for a, arm in enumerate(finding.arms):
            end = int(finding.verdict.look[a, -1, c])
            for look, cut in enumerate(looks.place[-1][: end + 1]):
                row: Row = {"arm": arm, "look": look + 1, "patients": cuts[cut]}
                row |= {name: _plain(values[a, cut, c]) for name, values in columns.items()}
                rows.append(row | {"decision": self._decision(a) if look == end else GO_ON})
        return rows

    def _decision(self, arm: int) -> str:
        verdict = self.record.findings[0].verdict
        if verdict.success[arm, -1, self.column]:
            return "success"
        return "futile" if verdict.futile[arm, -1, self.column] else "no success"

    def patients(self) -> list[Row]:
        """Describe each randomised patient in the order of enrolment.

        What did not happen or was not seen is None. Who was not randomised, as after a run-in, is left out;
        the others keep their numbers.
        """
        data, events, c = self.record.data, self.record.events, self.column
        end = self.protocol.visits[-1]
        rows = []
        for i, arm in enumerate(data.arm[:, c]):
            if arm == ABSENT:
                continue
            stopped = events.stop[i, c] < end
            row: Row = {"patient": i + 1, "arm": self.protocol.arms[arm].name}
            row["enrolled"] = float(self.enrolled[i, c])
            row |= {name: float(values[i, c]) for name, values in self.covariates.items()}
            row["scores"] = [float(data.baseline[i, c]), *map(_seen, data.score[i, c])]
            row["stopped"] = float(events.stop[i, c]) if stopped else None
            row["reason"] = REASONS[events.reason[i, c]] if stopped else None
            row["left"] = float(events.leave[i, c]) if events.leave[i, c] < end else None
            rows.append(row)
        return rows

    def long_form(self) -> list[Row]:
        """Give a row a patient and follow-up visit: the form that ``sim analyse`` reads."""
        rows = []
        for patient in self.patients():
            baseline, *scores = patient.pop("scores")
            before = {key: patient[key] for key in patient if key not in ("stopped", "reason", "left")}
            after = {key: patient[key] for key in ("stopped", "reason", "left")}
            for week, score in zip(self.protocol.visits[1:], scores, strict=True):
                rows.append(before | {"baseline": baseline, "week": week, "score": score} | after)
        return rows


def _seen(score: float) -> float | None:
    return None if np.isnan(score) else float(score) + 0.0


def rebuild(study: Study, names: tuple[str, str], replicate: int, plan: Plan) -> Trial:
    """Simulate the block of one replicate again: streams are keyed by block, so nothing else is needed.

    Parameters
    ----------
    names
        Of the protocol and the scenario.
    plan
        Knows the posteriors of the study's syntheses.

    Raises
    ------
    InputError
        The study has no such protocol or scenario.
    """
    protocol = named("--protocol", names[0], study.protocols)
    scenario = named("--scenario", names[1], study.scenarios).only(protocol)
    block, column = divmod(replicate, BLOCK_SIZE)
    draws = draws_of(study.seed, block, plan.files)
    record = simulate(protocol, scenario, draws)
    values = true_values(protocol, scenario, draws, TRUTH_PATIENTS)
    truth, population = scenario.realise(protocol, draws), scenario.population
    cohort = population.enrol(len(record.data.arm), protocol.eligibility, truth.pain, draws.streams)
    return Trial(
        protocol=protocol,
        looks=_rows_of(tabulate(protocol, record, block, values).estimates, replicate),
        record=record,
        column=column,
        enrolled=record.conduct.enrolled,
        covariates=population.describe(cohort, protocol.eligibility, draws.streams),
        units={name: margin.units for name, margin in population.covariates.items()},
    )


def named(option: str, name: str, parts: Mapping[str, Any]) -> Any:
    """Return the part of this name, or raise the error that lists the allowed ones."""
    if name not in parts:
        raise InputError(f"{option}: unknown name '{name}':{suggest(name, parts)}")
    return parts[name]


def _rows_of(table: Mapping[str, NDArray[Any]], replicate: int) -> list[Row]:
    """Take one replicate's rows of a block's table, as plain data; what is not finite is None."""
    places = np.flatnonzero(table["replicate"] == replicate)
    return [
        {name: _plain(column[place]) for name, column in table.items() if name != "replicate"}
        for place in places
    ]


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain
