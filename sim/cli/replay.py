"""``sim replay``: one trial of a study rebuilt, look by look and patient by patient."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.table import Table as Shown

from sim.cli.console import out, print_json, print_wide
from sim.cli.run import find_posteriors
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.execution import Plan
from sim.replay import Trial, named, rebuild
from sim.results import write_csv
from sim.study import MOST_REPLICATES

Row = dict[str, Any]

SCORE = 5
"""Characters of a score in the table of patients."""


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
        named(option, name, parts)
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
