"""What ``sim fit`` prints about the prior of a control arm."""

from typing import Any

from rich.table import Table

from sim.cli.console import out
from sim.mixtures.conflict import ALARM

ROWS = {"map": "new study", "population_mean": "mean of studies", "tau": "SD between studies (tau)"}


def show_prior(report: dict[str, Any]) -> None:
    """Print the predictive distribution, its mixture and what it is worth in patients."""
    scale = " (mean and tau on the logit scale)" if report["outcome"] == "binomial" else ""
    table = Table(
        title=f"Control arm from {report['studies']} studies{scale}", title_justify="left", box=None
    )
    quantiles = list(report["map"]["quantiles"])
    for column in ("", "mean", "sd", *quantiles):
        table.add_column(column, justify="right" if column else "left")
    for key, label in ROWS.items():
        row = report[key]
        numbers = (row["mean"], row["sd"], *(row["quantiles"][p] for p in quantiles))
        table.add_row(label, *(f"{number:.3g}" for number in numbers))
    out.print(table)
    for key, label in (("", "mixture"), ("robust", "robust mixture")):
        if not key or key in report:
            _show_mixture(label, report[key] if key else report)
    indirect = [study for study, basis in report["basis"].items() if basis == "indirect"]
    if indirect:
        out.print(f"indirect (another condition): {', '.join(indirect)}")
    for study, p in report.get("conflict", {}).items():
        if p < ALARM:
            out.print(
                f"warning: {study} conflicts with the prior that the others make (p = {p:.3f}, Box 1980)"
            )
    out.print(f"folder: {report['folder']}")


def _show_mixture(label: str, part: dict[str, Any]) -> None:
    tree = part["mixture"]
    family = {"betaMix": "beta", "normMix": "normal"}[tree["meta"]["class"][0]]
    parts = (f"{w:.3f} {family}({a:.4g}, {b:.4g})" for w, a, b in zip(*tree["comp"], strict=True))
    ess = part["ess"]
    out.print(f"{label}: {' + '.join(parts)}")
    out.print(
        f"  worth {ess['elir']:.1f} patients (ELIR; moment {ess['moment']:.1f}, Morita {ess['morita']:.1f})"
    )
