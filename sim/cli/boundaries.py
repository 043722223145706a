"""``sim boundaries``: exact group-sequential boundaries, no simulation."""

from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE
from rich.table import Table

from sim.cli.console import out, print_json
from sim.core.errors import InputError
from sim.core.loading import validate
from sim.rules.boundaries import Boundaries, Design, solve
from sim.rules.crossing import Floats
from sim.rules.spending import parse_numbers, parse_spending

EFFECTS = {"null": 0.0, "half": 0.5, "full": 1.0}
"""Effects at which the expected sample size is shown, as fractions of the alternative."""

SPEC = "obrien_fleming, pocock, wang_tsiatis:D, ld_obrien_fleming, ld_pocock, hsd:GAMMA, kim_demets:RHO, \
haybittle_peto, user:a1,a2,..."


def boundaries(  # noqa: PLR0913, one parameter an option
    information: Annotated[str, typer.Option(help="Information fractions at the looks, increasing to 1.")],
    spending: Annotated[str, typer.Option(help=f"How alpha is spent: {SPEC} (cumulative).")],
    alpha: Annotated[float, typer.Option(help="Type I error, both sides together; below 0.5.")] = 0.025,
    sided: Annotated[int, typer.Option(help="1 or 2.")] = 1,
    futility: Annotated[
        str | None, typer.Option(help="How beta is spent: as --spending, or z:z1,z2,... (interim bounds).")
    ] = None,
    beta: Annotated[float, typer.Option(help="Type II error at the alternative.")] = 0.1,
    binding: Annotated[
        bool, typer.Option("--binding/--non-binding", help="Does the type I error count on futility stops?")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Exact group-sequential boundaries with what they cost, by numerical integration.

    Bounds are on the z scale, positive in favour of the new treatment; nominal p values are one-sided.
    Sample sizes are relative to the trial without interim looks.

    Example: `sim boundaries --information 0.5,0.75,1 --spending ld_obrien_fleming --futility hsd:-2`
    """
    tree = {
        "alpha": alpha,
        "beta": beta,
        "sided": sided,
        "information": parse_numbers(information, "--information"),
        "spending": parse_spending(spending, "--spending"),
        "futility": None if futility is None else parse_spending(futility, "--futility", given_bounds=True),
        "binding": binding,
    }
    found = _solved(tree)
    if json:
        print_json(numbers(found))
    else:
        show(found)


def _solved(tree: dict[str, Any]) -> Boundaries:
    try:
        return solve(validate(tree, Design, "options"))
    except InputError as error:
        raise InputError(*(f"--{line.removeprefix('options: ')}" for line in error.problems)) from None


def numbers(found: Boundaries) -> dict[str, Any]:
    """Return the solved design as plain data; None stands for a bound that does not exist."""
    return {
        "efficacy_z": _plain(found.efficacy_z),
        "futility_z": None if found.futility_z is None else _plain(found.futility_z),
        "nominal_p": _plain(found.nominal_p),
        "alpha_spent": _plain(found.alpha_spent),
        "beta_spent": _plain(found.beta_spent),
        "inflation": found.inflation,
        "expected_n_ratio": {name: found.expected_n_ratio(effect) for name, effect in EFFECTS.items()},
    }


def _plain(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def show(found: Boundaries) -> None:
    """Write the solved design as tables: the bounds, and where trials stop."""
    none = np.full(len(found.efficacy_z), -np.inf)
    futility = none if found.futility_z is None else found.futility_z
    bounds = np.array([found.design.looks_at, found.efficacy_z, found.nominal_p, futility])
    spent = np.array([found.alpha_spent, found.beta_spent])
    names = ["information", "efficacy z", "nominal p", "futility z", "alpha spent", "beta spent"]
    out.print(_table(names, np.vstack([bounds, spent])))
    out.print("Probability to stop under no, half and the full effect:")
    stops = np.array([found.stopping(effect)[end] for end in (0, 1) for effect in EFFECTS.values()])
    out.print(_table(["efficacy: null", "half", "full", "without: null", "half", "full"], stops))
    ratios = ", ".join(f"{name} effect {found.expected_n_ratio(e):.4f}" for name, e in EFFECTS.items())
    out.print(
        f"Maximum sample size {found.inflation:.4f} times that without interim looks; expected: {ratios}."
    )


def _table(names: list[str], values: Floats) -> Table:
    table = Table("look", *names, box=SIMPLE, padding=(0, 1, 0, 0))
    for look, row in enumerate(values.T, start=1):
        table.add_row(str(look), *(f"{value:.4f}" if np.isfinite(value) else "none" for value in row))
    return table
