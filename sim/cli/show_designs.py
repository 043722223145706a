"""The designs of one run as a table, a figure or JSON."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from sim.cli.console import out, print_json, print_wide
from sim.core.errors import InputError
from sim.designs import Choice, Design

DECIMALS = {"success": 4, "patients": 1, "weeks": 1, "cost": 0, "net_benefit": 0}


def show_designs(choice: Choice, against: str | None, figure: Path | None, json: bool) -> None:
    """Print the designs, and draw them where a file is named."""
    base = _base(choice, against)
    rows = choice.rows(base)
    if figure is not None:
        _draw(choice, base, rows, figure)
    if json:
        asked = {"scenario": choice.scenario, "success": choice.success, "currency": choice.currency}
        print_json(asked | {"against": base.label, "designs": rows})
        return
    out.print(
        f"scenario {choice.scenario}; differences are from {base.label}, on the same patients", markup=False
    )
    table = Table(
        "design",
        "measure",
        "value",
        "MC error",
        "difference",
        "MC error",
        "it is",
        "",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for row in rows:
        digits = DECIMALS[row["measure"]]
        name = choice.success if row["measure"] == "success" else row["measure"].replace("_", " ")
        name += f", {choice.currency}" if row["measure"] in ("cost", "net_benefit") else ""
        numbers = [f"{row[key]:.{digits}f}" for key in ("value", "mcse", "difference", "difference_mcse")]
        first = row["measure"] == choice.measures[0]
        best = "on the front" if first and row["front"] else ""
        table.add_row(row["design"] if first else "", name, *numbers, row["verdict"], best)
    print_wide(table)
    judged = [choice.success if m == "success" else m for m in choice.measures if m != "net_benefit"]
    out.print(
        "A design is on the front unless another is nowhere worse, and better beyond two Monte Carlo "
        f"errors in one of: {', '.join(judged)}.",
        markup=False,
    )
    if "net_benefit" in choice.measures:
        out.print(_best(choice), markup=False)


def _base(choice: Choice, against: str | None) -> Design:
    """The largest size of the protocol asked for, or of the first one."""
    name = against or choice.designs[0].name
    mine = [design for design in choice.designs if design.name == name]
    if not mine:
        names = ", ".join(dict.fromkeys(d.name for d in choice.designs))
        raise InputError(f"--against: no protocol '{name}'; allowed: {names}")
    return mine[-1]


def _best(choice: Choice) -> str:
    """Name the design with the largest expected net benefit, and those that cannot be told from it."""
    best = max(choice.designs, key=lambda design: design.measured("net_benefit").value)
    alike = [
        other.label
        for other in choice.designs
        if other is not best
        and choice.verdict(other, best, "net_benefit") in ("not distinguishable", "equal")
    ]
    also = f"; not distinguishable from it: {', '.join(alike)}" if alike else ""
    return f"Largest expected net benefit: {best.label}{also}."


def _draw(choice: Choice, base: Design, rows: list[dict[str, Any]], file: Path) -> None:
    import pandas as pd

    from sim.report.figures.designs import designs
    from sim.report.figures.style import save

    frame = pd.DataFrame(rows)
    save(designs(frame, (choice.success, choice.currency), base.label), file, frame)
