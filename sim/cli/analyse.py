"""``sim analyse``: the planned analysis on the data of the finished trial."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Shown

from sim.analyses.base import Analysis
from sim.analyses.data_set import Result, Row
from sim.cli.console import out, print_json
from sim.cli.long_form import Layout, Table, arrange
from sim.core.errors import InputError
from sim.core.loading import SCHEMA, read_yaml, resolve, validate

WIDTH = 130
"""Characters that the longest line of the table needs."""


def analyse(
    data: Annotated[Path, typer.Argument(help="One row a patient and visit.", metavar="DATA.csv")],
    analysis: Annotated[
        Path,
        typer.Argument(
            help="The analysis as in a protocol, columns and reference arm.", metavar="ANALYSIS.yaml"
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Analyse a real data set with the code that the simulated trials were analysed with.

    ANALYSIS.yaml: `kind: mmrm`, its options, `reference: placebo` and
    `columns: {patient: id, arm: arm, visit: week, value: pain, baseline: pain_0, covariates: [site]}`.

    Example: `sim analyse trial.csv configs/analyses/mmrm.yaml --json`
    """
    result = compute(data, analysis)
    if json:
        print_json(content(result))
    else:
        show(result)


def compute(data: Path, analysis: Path) -> Result:
    """Read both files and analyse.

    Raises
    ------
    InputError
        Something in either file is wrong.
    RunError
        The analysis has no result, for example because the fit does not converge.
    """
    layout, chosen = read_analysis(analysis)
    arranged = arrange(Table.read(data), layout)
    try:
        return chosen.analyse(arranged)
    except InputError as error:
        raise InputError(*(f"{data}: {problem}" for problem in error.problems)) from None


def read_analysis(file: Path) -> tuple[Layout, Analysis]:
    """Read an analysis file: how the table is laid out, and the analysis part."""
    path = file.resolve()
    tree = resolve(read_yaml(file), path, (path,))
    if tree.pop("schema", SCHEMA) != SCHEMA:
        raise InputError(f"{file}: schema: this version reads only schema {SCHEMA}")
    if isinstance(tree.get("analysis"), dict):
        # written like a protocol's look, the part may stand under its own key
        tree = {**tree.pop("analysis"), **tree}
    ours = {key: tree.pop(key) for key in Layout.model_fields if key in tree}
    layout = validate(ours, Layout, str(file))
    return layout, validate({"estimand": "data", **tree}, Analysis, str(file))


def content(result: Result) -> dict[str, Any]:
    """Return a result as plain data; what is not finite is null."""
    return {
        "estimates": [_plain(asdict(row)) for row in result.estimates],
        "coefficients": [_plain(asdict(row)) for row in result.coefficients],
        "model": _plain(result.model),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def show(result: Result) -> None:
    """Write the estimates as a table."""
    table = Shown(box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("", "estimate", "SE", "df", "statistic", "p", "low", "high", "n"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    for row in result.estimates:
        table.add_row(*_cells(row))
    wide = Console(width=max(out.width, WIDTH), highlight=False)
    wide.print(table)
    for name, delta in result.model.get("tipping_point", {}).items():
        said = "none found" if delta is None else f"{delta:.3f}"
        wide.print(_escaped(f"tipping point of {name}: {said}"), soft_wrap=True)


def _cells(row: Row) -> tuple[str, ...]:
    df = f"{row.df:.1f}" if np.isfinite(row.df) else "normal"
    numbers = (f"{row.estimate:.4f}", f"{row.se:.4f}", df, f"{row.statistic:.3f}", f"{row.p:.4g}")
    return (_escaped(row.name), *numbers, f"{row.ci_low:.4f}", f"{row.ci_high:.4f}", str(row.n))


def _escaped(name: str) -> str:
    return name.replace("[", "\\[")
