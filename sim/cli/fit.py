"""``sim fit``: evidence to posterior."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sim.cli.console import err, out, print_json
from sim.cli.fit_checks import counting, plain_table, show_backtest, show_evidence_checks
from sim.cli.prior import show_prior
from sim.cli.rates import show_rates
from sim.core.errors import InputError, RunError
from sim.core.loading import load

if TYPE_CHECKING:
    from sim.synthesis import Store, Synthesis

COLUMNS = ("treatment", "mean", "sd", "low", "high", "trials", "patients", "basis")
WIDTH = 96
"""Characters that the longest treatment's line needs."""
RESULTS = Path("results/synthesis")


def fit(
    path: Annotated[Path, typer.Argument(metavar="SYNTHESIS.yaml", help="What to fit.")],
    force: Annotated[bool, typer.Option("--force", help="Fit again, even if the result is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one setting.")
    ] = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the fits.")] = RESULTS,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Also foretell each study from the others.")
    ] = False,
) -> None:
    """Fit reported trials: effects of treatments, response to placebo, and how much trials differ.

    Example: `sim fit configs/syntheses/chronic.yaml --leave-one-out`
    """
    from sim.synthesis import Store, Synthesis

    config = load(path, Synthesis, overrides or []).beside(path.parent)
    folder = fit_with_progress(config, as_json, force, Store(results))
    if leave_one_out:
        with counting("studies left out", as_json) as tell:
            config.leave_one_out(folder, tell)
    report = summary(folder)
    if as_json:
        print_json(report)
    elif "map" in report:
        show_prior(report)
    elif "rates" in report:
        show_rates(report)
    else:
        _show(report)


def fit_with_progress(
    config: "Synthesis", quiet: bool = False, force: bool = False, store: "Store | None" = None
) -> Path:
    """Find a fit or make it, telling on standard error what takes time; return its folder."""
    from sim.synthesis import Store

    store = store or Store(RESULTS)
    found = None if force else store.find(config)
    if found:
        return found
    if not quiet:
        err.print(f"fitting synthesis {config.name}: {config.takes}")
    return store.fit(config, force, progress=not quiet and sys.stderr.isatty())


def fit_all(configs: "Sequence[Synthesis]", quiet: bool = False) -> list[Path]:
    """Find each fit or make it; return their folders.

    The first that is missing is made here, where its progress is seen; the others meanwhile in a process
    beside, since compiling a model keeps one core busy and leaves the rest idle. What fails there is made
    again here, and tells its error.
    """
    from sim.synthesis import Store

    store = Store(RESULTS)
    missing = [config for config in configs if not store.find(config)]
    if len(missing) > 1 and os.cpu_count() != 1:
        with _beside(missing[1:], store) as process:
            if not quiet:
                err.print(f"in the background: {', '.join(config.name for config in missing[1:])}")
            fit_with_progress(missing[0], quiet)
            process.join()
    return [fit_with_progress(config, quiet) for config in configs]


@contextmanager
def _beside(configs: "Sequence[Synthesis]", store: "Store") -> Iterator[BaseProcess]:
    """Fit in another process, which ends with the block."""
    process = get_context("spawn").Process(target=_fit_quietly, args=(configs, store), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


def _fit_quietly(configs: "Sequence[Synthesis]", store: "Store") -> None:
    """Make fits; an unfinished one is cleared away when the process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(InputError, RunError):
        for config in configs:
            store.fit(config)


def summary(folder: Path) -> dict[str, Any]:
    """Read the effects or rates, diagnostics and heterogeneity of a fit, or a control arm's prior."""
    import pandas as pd

    if (folder / "map.json").exists():
        return {**json.loads((folder / "map.json").read_text(encoding="utf-8")), "folder": str(folder)}
    saved = json.loads((folder / "diagnostics.json").read_text(encoding="utf-8"))
    if (folder / "rates.csv").exists():
        return {"rates": pd.read_csv(folder / "rates.csv").to_dict("records"), **saved, "folder": str(folder)}
    effects = pd.read_csv(folder / "effects.csv")[list(COLUMNS)].to_dict("records")
    backtest = folder / "backtest.json"
    tested = {"backtest": json.loads(backtest.read_text(encoding="utf-8"))} if backtest.exists() else {}
    return {"effects": effects, **saved, **tested, "folder": str(folder)}


def _show(report: dict[str, Any]) -> None:
    table = plain_table("Effect against placebo on latent pain, points of 0 to 10 (negative is better)")
    for column in COLUMNS:
        table.add_column(
            column, justify="left" if column in ("treatment", "basis") else "right", no_wrap=True
        )
    for row in report["effects"]:
        cells = [f"{row[c]:.2f}" if isinstance(row[c], float) else str(row[c]) for c in COLUMNS]
        table.add_row(*cells)
    wide = Console(width=max(out.width, WIDTH), highlight=False)
    wide.print(table)
    spread = plain_table("How much trials differ")
    for column in ("quantity", "mean", "sd", "low", "high"):
        spread.add_column(column, justify="left" if column == "quantity" else "right")
    for name, values in report["heterogeneity"].items():
        spread.add_row(name, *(f"{values[key]:.2f}" for key in ("mean", "sd", "low", "high")))
    wide.print(spread)
    show_evidence_checks(wide, Path(report["folder"]))
    if "backtest" in report:
        show_backtest(wide, report["backtest"])
    said = report["diagnostics"]
    out.print(f"largest R-hat {said['max_rhat']:.4f}, smallest bulk ESS {said['min_ess_bulk']:.0f}, "
              f"{said['divergences']} divergences")  # fmt: skip
    out.print(f"folder: {report['folder']}")
