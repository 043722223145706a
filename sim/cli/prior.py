"""``sim prior``: a prior against new data; and what ``sim fit`` prints about the prior of a control arm."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sim.cli.console import out, print_json
from sim.core.errors import InputError
from sim.mixtures.conflict import ALARM, conflict_of_count, conflict_of_mean

if TYPE_CHECKING:
    from sim.mixtures import BetaMixture, NormalMixture

Numbers = Mapping[str, float | None]
"""What was given, by the option's name."""
ROWS = {"map": "new study", "population_mean": "mean of studies", "tau": "SD between studies (tau)"}


def prior(
    path: Annotated[
        Path,
        typer.Argument(metavar="PRIOR", help="A mixture as JSON, or the folder of a fit that holds one."),
    ],
    responders: Annotated[int | None, typer.Option(min=0, help="Responders that were seen.")] = None,
    patients: Annotated[int | None, typer.Option(min=1, help="Patients of whom they are.")] = None,
    mean: Annotated[float | None, typer.Option(help="Mean that was seen, in the prior's units.")] = None,
    se: Annotated[float | None, typer.Option(help="Its standard error.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Update a prior with new data, and warn where the two are in conflict (Box 1980).

    Example: `sim prior results/synthesis/map_placebo_responders-1a2b3c4d5e6f --responders 22 --patients 40`
    """
    made = _read(path)
    counts, means = {"--responders": responders, "--patients": patients}, {"--mean": mean, "--se": se}
    after, p = _met(made, counts, means)
    summary = {"prior": _told(made), "posterior": _told(after)}
    told: dict[str, Any] = {**summary, "p": p, "conflict": p < ALARM}
    if as_json:
        print_json(told)
        return
    for name, row in summary.items():
        out.print(f"{name}: mean {row['mean']:.3g} (95 % interval {row['low']:.3g} to {row['high']:.3g})")
    out.print(f"probability under the prior of data no more likely than these: {p:.3g}")
    if p < ALARM:
        out.print(
            f"warning: the data are in conflict with the prior (p below {ALARM:g}, Box 1980): the posterior "
            "is a compromise that neither supports, unless the prior has a robust component"
        )


def _read(path: Path) -> "NormalMixture | BetaMixture":
    """Read the mixture of a file, or of a fit's folder."""
    from sim.mixtures import BetaMixture, NormalMixture
    from sim.mixtures.exchange import from_tree

    file = path / "mixture.json" if path.is_dir() else path
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: no mixture can be read: {error}") from error
    made = from_tree(tree, str(file))
    if not isinstance(made, NormalMixture | BetaMixture):
        raise InputError(f"{file}: a {type(made).__name__} is given, allowed: NormalMixture, BetaMixture")
    return made


def _met(
    made: "NormalMixture | BetaMixture", counts: Numbers, means: Numbers
) -> tuple["NormalMixture | BetaMixture", float]:
    """The posterior, and the probability under the prior of data no more likely than these."""
    from sim.mixtures import BetaMixture

    if isinstance(made, BetaMixture):
        r, n = (int(value) for value in _both(made, counts, means))
        if r > n:
            raise InputError(f"--responders: {r} of {n} patients: more than there are")
        return made.posterior(r, n), conflict_of_count(made, r, n)
    centre, error = _both(made, means, counts)
    if error <= 0:
        raise InputError(f"--se: a standard error must be above 0 (given: {error:g})")
    return made.posterior(centre, error), conflict_of_mean(made, centre, error)


def _both(made: "NormalMixture | BetaMixture", wanted: Numbers, other: Numbers) -> tuple[float, float]:
    """Give both numbers that this family of priors needs; the other family's are refused."""
    first, second = wanted.values()
    if first is None or second is None or any(value is not None for value in other.values()):
        raise InputError(f"a {type(made).__name__} is updated by {' and '.join(wanted)}, both and only these")
    return first, second


def _told(made: "NormalMixture | BetaMixture") -> dict[str, Any]:
    low, high = (float(made.quantile(q)) for q in (0.025, 0.975))
    return {"mean": float(made.mean()), "sd": float(made.sd()), "low": low, "high": high}


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
