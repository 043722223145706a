"""``sim adaptive``: adaptive designs on sufficient statistics."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from sim.adaptive import AdaptiveStudy, Outcome, characteristics
from sim.cli.console import out, print_json, print_wide
from sim.cli.run import Assignments


def adaptive(
    design: Annotated[Path, typer.Argument(help="The design's YAML file.", metavar="DESIGN.yaml")],
    set_: Assignments = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Simulate an adaptive design under stated truths: arm selection, response-adaptive, re-estimation.

    Trials are their sufficient statistics (means or counts of responders), so there are no visits, losses or
    estimands; for those, run a study.

    Example: `sim adaptive configs/adaptive/arm_selection.yaml`
    """
    spec = AdaptiveStudy.load(design, tuple(set_ or []))
    found = list(characteristics(spec))
    if json:
        rows = [{k: None if v != v else v for k, v in asdict(row).items()} for row in found]
        print_json({"design": spec.design.words(), "characteristics": rows})
    else:
        _show(spec, found)


def _show(spec: AdaptiveStudy, found: list[Outcome]) -> None:
    out.print(f"{spec.design.words()}.", markup=False)
    for name, truth in spec.truths.items():
        values = ", ".join(f"{value:g}" for value in truth.values)
        out.print(f"Truth '{name}': {spec.design.truth_means} {values} ({truth.because}).", markup=False)
    table = Table("", *spec.truths, box=SIMPLE)
    for metric in dict.fromkeys(row.metric for row in found):
        cells = {row.truth: f"{row.value:.4g} ({row.mcse:.2g})" for row in found if row.metric == metric}
        table.add_row(metric.replace("_", " "), *(cells.get(name, "") for name in spec.truths))
    print_wide(table)
    out.print(f"{spec.trials} trials under each truth; Monte Carlo error in brackets.")
