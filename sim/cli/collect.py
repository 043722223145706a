"""``sim collect``: the results of blocks that the tasks of an array job have computed."""

from pathlib import Path
from typing import Annotated

import typer

from sim.array_jobs import collect as collect_blocks
from sim.cli.run import Assignments, assignments, complete, find_posteriors, tell_results
from sim.cli.studies import read_study
from sim.execution import Plan


def collect(
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    replicates: Annotated[
        int | None, typer.Option(help="Replicates of every cell, as the tasks were given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, as the tasks were given.")] = None,
    set_: Assignments = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder of the blocks.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Summarise and report what the tasks of an array job have computed; a missing block is an error.

    Example: `sim collect configs/studies/chronic_four_arms.yaml --replicates 2000`
    """
    spec = read_study(study, [*assignments(replicates, seed), *(set_ or [])])
    plan = Plan(posteriors=find_posteriors(spec, json))
    results = collect_blocks(spec, plan, out_dir)
    complete(spec, plan, results, json)
    tell_results(results, json)
