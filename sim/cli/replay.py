"""``sim replay``: one trial of a study rebuilt, look by look and patient by patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.table import Table as Shown

from sim.cli.console import out, print_json, print_wide
from sim.cli.run import find_posteriors
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.core.streams import BLOCK_SIZE
from sim.events import REASONS
from sim.execution import TRUTH_PATIENTS, Plan, draws_of
from sim.protocol import Protocol
from sim.records import tabulate
from sim.results import write_csv
from sim.study import MOST_REPLICATES, Study
from sim.trial import TrialRecord, simulate
from sim.true_values import true_values

Floats = NDArray[np.float64]
Row = dict[str, Any]

SCORE = 5
"""Characters of a score in the table of patients."""


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
    """

    protocol: Protocol
    looks: list[Row]
    record: TrialRecord
    column: int
    enrolled: Floats
    covariates: Mapping[str, Floats]

    def patients(self) -> list[Row]:
        """Describe each patient in the order of enrolment; what did not happen or was not seen is None."""
        data, events, c = self.record.data, self.record.events, self.column
        end = self.protocol.visits[-1]
        rows = []
        for i, arm in enumerate(data.arm[:, c]):
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
    protocol = _named("--protocol", names[0], study.protocols)
    scenario = _named("--scenario", names[1], study.scenarios).only(protocol)
    block, column = divmod(replicate, BLOCK_SIZE)
    draws = draws_of(study.seed, block, plan.files)
    record = simulate(protocol, scenario, draws)
    values = true_values(protocol, scenario, draws, TRUTH_PATIENTS)
    truth, population = scenario.realise(protocol, draws), scenario.population
    cohort = population.enrol(protocol.n, protocol.eligibility, truth.pain, draws.streams)
    return Trial(
        protocol=protocol,
        looks=_rows_of(tabulate(protocol, record, block, values).estimates, replicate),
        record=record,
        column=column,
        enrolled=record.conduct.enrolled,
        covariates=population.describe(cohort, protocol.eligibility, draws.streams),
    )


def _named(option: str, name: str, parts: Mapping[str, Any]) -> Any:
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


def replay(  # noqa: PLR0913, one parameter an option
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    protocol: Annotated[str, typer.Option(help="Name of the protocol.")],
    scenario: Annotated[str, typer.Option(help="Name of the scenario.")],
    replicate: Annotated[int, typer.Option(help="Which trial, from 0.", min=0, max=MOST_REPLICATES - 1)],
    patients: Annotated[int, typer.Option(help="Patients in the table.", min=0)] = 20,
    csv: Annotated[
        Path | None, typer.Option(help="Write all patients here, one row a patient and visit.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: PATH=VALUE; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Rebuild one trial of a study: each look's estimate and decision, and what happened to each patient.

    Example: `sim replay configs/studies/acute_nsaid.yaml --protocol fixed --scenario reported --replicate 7`
    """
    spec = read_study(study, set_ or [])
    for option, name, parts in (
        ("--protocol", protocol, spec.protocols),
        ("--scenario", scenario, spec.scenarios),
    ):
        _named(option, name, parts)
    plan = Plan(posteriors=find_posteriors(spec, json))
    trial = rebuild(spec, (protocol, scenario), replicate, plan)
    if csv:
        _write(csv, trial.long_form())
    if json:
        names = {"protocol": protocol, "scenario": scenario, "replicate": replicate}
        visits = list(trial.protocol.visits)
        print_json(names | {"looks": trial.looks, "visits": visits, "patients": trial.patients()})
        return
    out.print(f"Protocol {protocol}, scenario {scenario}, replicate {replicate}", markup=False)
    print_wide(_looks(trial.looks))
    print_wide(_patients(trial, patients))


def _write(file: Path, rows: list[Row]) -> None:
    if file.is_dir():
        raise InputError(f"--csv {file}: is a folder, expected a file to write")
    write_csv(file, rows)


def _looks(looks: list[Row]) -> Shown:
    headings = ("n", "estimand", "arm", "analysed", "estimate", "SE", "low", "high", "p", "truth", "decision")
    table = Shown(*headings, box=SIMPLE, padding=(0, 1, 0, 0), title="Looks", title_justify="left")
    for row in looks:
        numbers = (_shown(row[key], 3) for key in ("estimate", "se", "low", "high"))
        names = (str(row["n"]), row["estimand"], row["arm"], _shown(row["analysed"], 0))
        decision = "success" if row["success"] else "no success"
        table.add_row(*names, *numbers, _shown(row["p"], 4), _shown(row["truth"], 3), decision)
    return table


def _patients(trial: Trial, most: int) -> Shown:
    weeks = "".join(f"{week:>{SCORE}g}" for week in trial.protocol.visits)
    headings = ("patient", "arm", "enrolled", *trial.covariates, f"scores by week\n{weeks}")
    title = f"First {min(most, trial.protocol.n)} of {trial.protocol.n} patients (times in weeks)"
    table = Shown(box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for heading in (*headings, "stopped", "why", "left"):
        table.add_column(heading, no_wrap=True, vertical="bottom")
    for row in trial.patients()[:most]:
        described = (_shown(row[name], 1) for name in trial.covariates)
        scores = "".join(".".rjust(SCORE) if s is None else f"{s:>{SCORE}.3g}" for s in row["scores"])
        ended = (_shown(row["stopped"], 1), row["reason"] or "", _shown(row["left"], 1))
        table.add_row(str(row["patient"]), row["arm"], _shown(row["enrolled"], 1), *described, scores, *ended)
    return table


def _shown(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"
