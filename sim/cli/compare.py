"""``sim compare``: what differs between two runs, and what only the simulation's error makes different."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.table import Table

from sim.archive import SUCCESS
from sim.cli.console import out, print_json, print_wide
from sim.cli.differences import Difference, Run, differences
from sim.cli.show_designs import show_designs
from sim.core.errors import InputError
from sim.core.loading import dump
from sim.designs import Choice

Setting = tuple[str, Any, Any]


def compare(  # noqa: PLR0913, one parameter an option
    first: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="DIR")],
    second: Annotated[
        Path | None, typer.Argument(help="Folder of another one; without it, the designs of the first.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show also what does not differ.")] = False,
    scenario: Annotated[str | None, typer.Option(help="Scenario whose designs are compared.")] = None,
    against: Annotated[str | None, typer.Option(help="Protocol from which the others differ.")] = None,
    worth: Annotated[float | None, typer.Option(help="Worth of a success, in the costs' currency.")] = None,
    figure: Annotated[Path | None, typer.Option(help="PNG to draw the designs in.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Compare two runs, or the designs of one, each number with the error of its difference.

    Differences within two Monte Carlo errors are called that, not ranked. Runs of the same seed met the
    same patients, and so did the designs of one run: the error of their difference is the smaller, paired
    one.

    Example: `sim compare results/acute_nsaid/0123456789ab results/acute_nsaid/ba9876543210`

    Example: `sim compare results/interim_looks/0123456789ab --scenario expected --figure designs.png`
    """
    if second is None:
        run = Run.open(first)
        show_designs(Choice.of(run.results, run.study, (scenario, worth)), against, figure, json)
        return
    if (scenario, against, worth, figure) != (None, None, None, None):
        raise InputError("sim compare: --scenario, --against, --worth and --figure are for one DIR")
    runs = Run.open(first), Run.open(second)
    found = list(differences(*runs))
    changed = settings(dump(runs[0].study), dump(runs[1].study))
    alone = [_only_in(*runs), _only_in(*reversed(runs))]
    if json:
        print_json(_content(runs, found, changed, alone))
        return
    out.print(f"first:  {first}\nsecond: {second}\n", markup=False)
    _show_settings(changed)
    _show(found, every)
    for run, names in zip(runs, alone, strict=True):
        if names:
            out.print(f"only in {run.results.folder}: {', '.join(names)}", markup=False)


def settings(first: Any, second: Any, path: str = "") -> list[Setting]:
    """List what differs between two plain trees, by path; what a tree lacks is None."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = dict.fromkeys([*first, *second])
        pairs = [(f"{path}.{key}".lstrip("."), first.get(key), second.get(key)) for key in keys]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(first, second, strict=True))]
    else:
        return [] if first == second else [(path, first, second)]
    return [setting for at, a, b in pairs for setting in settings(a, b, at)]


def _only_in(run: Run, other: Run) -> list[str]:
    """Name the groups of characteristics that the other run lacks: protocol, scenario and metric."""
    missing = [key for key in run.rows if key not in other.rows]
    return list(dict.fromkeys(f"{key[0]}.{key[1]} {key[4]}" for key in missing))


def _content(
    runs: tuple[Run, Run], found: list[Difference], changed: list[Setting], alone: list[list[str]]
) -> dict[str, Any]:
    rows = [asdict(d) | {"difference": d.difference, "verdict": d.verdict} for d in found]
    return {
        "first": str(runs[0].results.folder),
        "second": str(runs[1].results.folder),
        "settings": [{"path": path, "first": a, "second": b} for path, a, b in changed],
        "differences": [{k: None if v != v else v for k, v in row.items()} for row in rows],
        "only_in_first": alone[0],
        "only_in_second": alone[1],
    }


def _show_settings(changed: list[Setting]) -> None:
    if not changed:
        out.print("Both runs have the same settings.")
    for path, first, second in changed:
        out.print(f"{path}: {_brief(first)} → {_brief(second)}", markup=False)


def _brief(value: Any, most: int = 60) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _show(found: list[Difference], every: bool) -> None:
    shown = [d for d in found if every or d.metric in SUCCESS or d.verdict in ("higher", "lower")]
    headings = ("protocol", "scenario", "n", "estimand", "arm", "metric", "first", "second")
    table = Table(*headings, "difference", "MC error", "second is", box=SIMPLE, padding=(0, 1, 0, 0))
    for d in shown:
        table.add_row(*_cells(d))
    if shown:
        print_wide(table)
    hidden = len(found) - len(shown)
    if hidden:
        out.print(f"{hidden} more characteristics are equal or within two Monte Carlo errors (--all).")
        out.print("Of numbers that do not differ, one in twenty exceeds two Monte Carlo errors by chance.")
    out.print(" ".join(_notes(shown)), markup=False)


def _cells(d: Difference) -> tuple[str, ...]:
    n = str(d.n[0]) if d.n[0] == d.n[1] else f"{d.n[0]} → {d.n[1]}"
    names = (d.protocol, d.scenario, n, d.estimand, d.arm, d.metric)
    numbers = (f"{d.first:.4f}", f"{d.second:.4f}", f"{d.difference:+.4f}", f"{d.mcse:.4f}")
    return (*names, *numbers, d.verdict)


def _notes(shown: list[Difference]) -> Iterator[str]:
    if any(d.paired for d in shown):
        yield "The same seed: errors are of paired differences where both runs kept records."
    if any(d.mcse and not d.paired for d in shown):
        yield "Independent runs: errors are the root of the summed squares."
