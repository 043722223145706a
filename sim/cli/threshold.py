"""``sim threshold``: the posterior probability to ask for, so that null trials seldom reach it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.console import out, print_json
from sim.cli.run import Assignments, find_posteriors, telling
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.execution import Plan
from sim.executors import default_workers
from sim.rules.threshold import calibrate
from sim.study import Study
from sim.thresholds import Question, null_maxima


def threshold(  # noqa: PLR0913, one parameter an option
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    error: Annotated[float, typer.Option(help="Type I error to hold.")] = 0.025,
    protocol: Annotated[str | None, typer.Option(help="By default the study's first.")] = None,
    scenario: Annotated[str | None, typer.Option(help="By default the first that is null.")] = None,
    beyond: Annotated[float, typer.Option(help="Benefit whose probability is asked for.")] = 0.0,
    replicates: Annotated[int, typer.Option(help="Null trials.", min=1)] = 10_000,
    set_: Assignments = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Calibrate the threshold of posterior probabilities to a type I error, with its uncertainty.

    One threshold for all looks and arms of the protocol's first analysis, from the largest posterior
    probability that each null trial shows. Its limits are order statistics; the upper one holds the error
    with probability 0.975.

    Example: `sim threshold configs/studies/interim_looks.yaml --protocol bayesian --error 0.025`
    """
    if not 0 < error < 1:
        raise InputError(f"--error: {error:g} is not a probability; allowed: above 0 and below 1")
    spec = read_study(study, set_ or [])
    plan = Plan(posteriors=find_posteriors(spec, json), workers=default_workers())
    asked = Question(protocol or next(iter(spec.protocols)), scenario or _null(spec), beyond, replicates)
    with telling(plan, "simulating null trials", json) as told:
        found = calibrate(null_maxima(spec, asked, told), error)
    if json:
        print_json({**asdict(asked), "target": error, **asdict(found)})
        return
    out.print(
        f"{asked.protocol}, {asked.scenario}: a posterior probability above {found.threshold:.4f} at any "
        f"look; the threshold lies between {found.low:.4f} and {found.high:.4f} (95 %). In {replicates} null "
        f"trials it is exceeded by {found.error:.4f}, at most {found.error_high:.4f} (97.5 %).",
        markup=False,
    )


def _null(study: Study) -> str:
    found = next((name for name, scenario in study.scenarios.items() if scenario.null), None)
    if found is None:
        raise InputError("--scenario: the study has no scenario with 'null: true'")
    return found
