"""What ``sim fit`` prints about counted events."""

from typing import Any

from rich.console import Console

from sim.cli.console import out
from sim.cli.fit_checks import plain_table

COUNTS = ("trials", "patients", "events", "basis")
WIDTH = 112


def show_rates(report: dict[str, Any]) -> None:
    """Print the share of patients with each event in a new trial, and hazard ratios to the reference."""
    table = plain_table("Share of patients in a new trial, ratio of hazards (or odds) to the reference; 95 %")
    for column in ("treatment", "event", "share", "ratio", *COUNTS):
        is_text = column in ("treatment", "event", "basis")
        table.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    for row in report["rates"]:
        share = f"{row['mean']:.3f} ({row['low']:.3f}, {row['high']:.3f})"
        ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f}, {row['ratio_high']:.2f})"
        table.add_row(row["treatment"], row["rate"], share, ratio, *(str(row[c]) for c in COUNTS))
    Console(width=max(out.width, WIDTH), highlight=False).print(table)
    said = report["diagnostics"]
    out.print(f"largest R-hat {said['max_rhat']:.4f}, smallest bulk ESS {said['min_ess_bulk']:.0f}, "
              f"{said['divergences']} divergences")  # fmt: skip
    out.print(f"folder: {report['folder']}")
