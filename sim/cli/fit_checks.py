"""What ``sim fit`` says of a fit's checks: frequentist estimates, verdicts, one-trial priors, backtest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sim.cli.console import err

SHOWN = {
    "frequentist": (
        "Frequentist network meta-analysis against the reference, points; beside it the fit",
        ("treatment", "k", "estimate", "low", "high", "fit", "fit_low", "fit_high"),
    ),
    "verdicts": (
        "Verdicts of a review that gives no sizes, beside the posterior",
        ("study_id", "treatment", "verdict", "basis", "p_below_0", "p_below_half_point"),
    ),
    "prior_share": (
        "Effects that rest on one or two studies: what each study contributes",
        ("treatment", "study", "sd_without", "sd_with", "share", "patients_per_arm"),
    ),
}
"""Tables that are printed: title and columns."""
NETWORK = "network, REML"
"""Method of the rows of ``frequentist.csv`` that are printed; the others are in the file."""


@contextmanager
def counting(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Give what is to be told of progress: a bar with the time left, on standard error.

    Where standard error is no terminal, each finished part is one line.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = not quiet and err.is_terminal
    bar = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=err, disable=not shown)
    task = bar.add_task(title, total=None)

    def tell(done: int, planned: int) -> None:
        bar.update(task, completed=done, total=planned)
        if not quiet and not shown:
            err.print(f"{title}: {done} of {planned}")

    with bar:
        yield tell


def plain_table(title: str) -> Table:
    """A table without lines."""
    return Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1))


def _filled(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    table = plain_table(title)
    for column in columns:
        words = all(isinstance(row.get(column), str) for row in rows)
        table.add_column(column.replace("_", " "), justify="left" if words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def show_evidence_checks(console: Console, folder: Path) -> None:
    """Print the frequentist network, the verdicts and the one-trial priors that the folder has."""
    for name, (title, columns) in SHOWN.items():
        rows = _rows(folder / f"{name}.csv")
        rows = [row for row in rows if row.get("method", NETWORK) == NETWORK]
        if rows:
            console.print(_filled(title, columns, rows))


def _rows(file: Path) -> list[dict[str, Any]]:
    import pandas as pd

    if not file.exists():
        return []
    return [{str(k): v for k, v in row.items()} for row in pd.read_csv(file).to_dict("records")]


def show_backtest(console: Console, report: dict[str, Any]) -> None:
    """Print the coverage of the predictions of each study from the others, and what is wrong with it."""
    rows = [{"form": name, **told} for name, told in report["coverage"].items()]
    columns = ("form", "predictions", "studies", "50", "80", "95", "95_by_study", "log_score")
    console.print(
        _filled("Each study foretold from the others: share of values within the interval", columns, rows)
    )
    low, high = report["bounds"]
    if not report["sound"]:
        err.print(
            f"warning: the 95 % intervals hold {report['coverage']['all']['95']:.3f} of what was reported; "
            f"{low} to {high} was expected (docs/backtest.md)"
        )
    if report["not_converged"]:
        err.print(
            f"warning: did not converge without {', '.join(report['not_converged'])}: kept, and flagged"
        )
