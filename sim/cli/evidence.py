"""``sim evidence``: look at the reported trials behind the priors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sim.cli.console import out, print_json

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(help="Look at the reported trials behind the priors.")

Added = Annotated[
    list[Path] | None, typer.Option("--add", metavar="DIR", help="A folder with tables of the same form.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
SHOWN = {
    "arms": ["arm_id", "treatment", "label", "n_randomised", "provenance"],
    "outcomes": ["arm_id", "outcome", "scale", "weeks", "statistic", "value", "spread", "n", "provenance"],
    "contrasts": [
        "treatment", "comparator", "outcome", "weeks", "measure", "estimate", "spread", "role", "provenance",
    ],
}  # fmt: skip
"""What fits a line; --json prints every column."""
WIDTH = 120
"""Characters a line needs at least: a narrower terminal wraps it."""


@app.command()
def check(add: Added = None, as_json: AsJson = False) -> None:
    """Check every row of the tables and count them.

    Example: `sim evidence check --add my_trials/`
    """
    from sim.evidence import load_evidence

    counts = load_evidence(*(add or [])).counts()
    if as_json:
        print_json(counts)
    else:
        out.print(", ".join(f"{number} {name}" for name, number in counts.items()) + ": every row is valid")


@app.command(name="list")
def list_studies(
    treatment: Annotated[
        str | None, typer.Option("--treatment", help="Only studies of this treatment.")
    ] = None,
    stage: Annotated[str | None, typer.Option("--stage", help="acute, subacute, chronic or mixed.")] = None,
    add: Added = None,
    as_json: AsJson = False,
) -> None:
    """List the studies, one line each.

    Example: `sim evidence list --treatment mirtazapine --stage chronic`
    """
    from sim.evidence import load_evidence

    tables = load_evidence(*(add or []))
    _require_known(treatment, stage)
    studies = tables.studies
    if stage:
        studies = studies[studies["stage"] == stage]
    if treatment:
        sides = tables.contrasts.loc[
            (tables.contrasts[["treatment", "comparator"]] == treatment).any(axis=1), "study_id"
        ]
        arms = tables.arms.loc[tables.arms["treatment"] == treatment, "study_id"]
        studies = studies[studies["study_id"].isin({*sides, *arms})]
    columns = ["study_id", "year", "stage", "n_randomised", "provenance", "citation"]
    if as_json:
        print_json({"studies": _records(studies[columns])})
    else:
        _show(studies[columns], f"{len(studies)} studies")


@app.command()
def show(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The study_id.")],
    add: Added = None,
    as_json: AsJson = False,
) -> None:
    """Show all rows of one study.

    Example: `sim evidence show ashar2022`
    """
    from sim.evidence import load_evidence

    tables = load_evidence(*(add or [])).study(study)
    if as_json:
        print_json({name: _records(frame) for name, frame in tables.items()})
        return
    for name, frame in tables.items():
        if name == "studies":
            for column, value in _records(frame)[0].items():
                out.print(f"[bold]{column}[/bold]: {_text(value)}")
        elif len(frame):
            _show(
                _with_spread(name, frame)[SHOWN[name]],
                f"{name} ({len(frame)} rows; --json shows every column)",
            )


def _require_known(treatment: str | None, stage: str | None) -> None:
    from sim.core.errors import InputError
    from sim.core.parts import suggest
    from sim.evidence.vocabulary import POOLED_TREATMENTS, STAGES, TREATMENTS

    for option, given, allowed in (
        ("--treatment", treatment, TREATMENTS + POOLED_TREATMENTS),
        ("--stage", stage, STAGES),
    ):
        if given is not None and given not in allowed:
            raise InputError(f"{option} {given}: unknown;{suggest(given, allowed)}")


def _with_spread(name: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Add what was printed about uncertainty as one text: ``sd 1.4`` or ``[-1.2, -0.3]``."""
    if name == "arms":
        return frame
    low, high = ("disp_low", "disp_high") if name == "outcomes" else ("ci_low", "ci_high")
    intervals = [
        f"[{a:g}, {b:g}]" if a == a and b == b else "" for a, b in zip(frame[low], frame[high], strict=True)
    ]
    if name == "outcomes":
        single = [
            f"{kind} {v:g}" if v == v else ""
            for kind, v in zip(frame["dispersion"], frame["disp_value"], strict=True)
        ]
        intervals = [one or two for one, two in zip(single, intervals, strict=True)]
    return frame.assign(spread=intervals)


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows as plain data; what was not reported is None."""
    plain = frame.astype(object).where(frame.notna() & (frame.astype(str) != ""), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


def _show(frame: "pd.DataFrame", title: str) -> None:
    """Print a table without its empty columns."""
    records = _records(frame)
    columns = [c for c in frame.columns if any(row[c] is not None for row in records)]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column, no_wrap=column not in ("citation", "label"), overflow="fold")
    for row in records:
        table.add_row(*(_text(row[column]) for column in columns))
    Console(width=max(out.width, WIDTH), highlight=False).print(table, soft_wrap=False)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("[", r"\[")
