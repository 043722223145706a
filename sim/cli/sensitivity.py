"""``sim sensitivity``: how far the answer depends on what is assumed of nature."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from sim.cli.console import out, print_json, print_wide
from sim.cli.run import Assignments, find_posteriors, telling
from sim.cli.studies import read_study
from sim.execution import Plan
from sim.executors import default_workers
from sim.sensitivity import Effect, vary, write
from sim.variation import Sensitivity


def sensitivity(
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the run: the report shows the result, blocks are kept."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.", min=1)] = None,
    set_: Assignments = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run the main trial with one thing otherwise: losses, placebo response, spread, accrual, prior weight.

    The study's `sensitivity` may name others. All runs meet the same patients, so differences are paired.

    Example: `sim sensitivity configs/studies/chronic_four_arms.yaml`
    """
    spec = read_study(study, set_ or [])
    plan = Plan(posteriors=find_posteriors(spec, json), workers=workers or default_workers())
    with telling(plan, "simulating variations", json) as told:
        effects = vary(spec, spec.sensitivity or Sensitivity(), told, folder)
    if folder:
        write(folder, effects)
    if json:
        print_json({"sensitivity": [asdict(effect) for effect in effects]})
    else:
        _show(effects)


def _show(effects: list[Effect]) -> None:
    first = effects[0]
    title = (
        f"Protocol {first.protocol}, scenario {first.scenario}, {first.replicates} trials each, same patients"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE)
    for head in ("varied", "setting", "arm", "metric", "value", "difference"):
        table.add_column(head, justify="right" if head in ("value", "difference") else "left", no_wrap=True)
    largest = max(effect.n for effect in effects)
    for effect in effects:
        if effect.n == largest:
            value, moved = f"{effect.value:.3f} ({effect.mcse:.3f})", ""
            if effect.what:
                moved = f"{effect.difference:+.3f} ({effect.difference_mcse:.3f})"
            table.add_row(effect.what, effect.setting, effect.arm or "all", effect.metric, value, moved)
    print_wide(table)
    out.print("Monte Carlo error in brackets; the differences are paired.")
