"""What ``sim fit`` prints about counted events."""

from typing import Any

from rich.console import Console
from rich.table import Table

from sim.cli.console import out

SHARES, RATIOS = ("mean", "low", "high"), ("ratio", "ratio_low", "ratio_high")
COUNTS = ("trials", "patients", "events", "basis")
WIDTH = 110


def show_rates(report: dict[str, Any]) -> None:
    """Print the share of patients with each event in a new trial, and hazard ratios to the reference."""
    table = Table(
        title="Share of patients in a new trial, and ratio of hazards (or odds) to the reference",
        title_justify="left", box=None, pad_edge=False, padding=(0, 1),
    )  # fmt: skip
    for column in ("treatment", "event", *SHARES, *RATIOS, *COUNTS):
        is_text = column in ("treatment", "event", "basis")
        table.add_column(column.replace("_", " "), justify="left" if is_text else "right", no_wrap=True)
    for row in report["rates"]:
        numbers = [f"{row[c]:.3f}" for c in SHARES] + [f"{row[c]:.2f}" for c in RATIOS]
        table.add_row(row["treatment"], row["rate"], *numbers, *(str(row[c]) for c in COUNTS))
    Console(width=max(out.width, WIDTH), highlight=False).print(table)
    said = report["diagnostics"]
    out.print(f"largest R-hat {said['max_rhat']:.4f}, smallest bulk ESS {said['min_ess_bulk']:.0f}, "
              f"{said['divergences']} divergences")  # fmt: skip
    out.print(f"folder: {report['folder']}")
