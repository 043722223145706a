"""The ``sim`` command: what it offers, and how it ends."""

import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any

import typer

from sim.cli.console import complain, out
from sim.core.errors import InputError, RunError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

ParserError: type[Any] = typer.BadParameter.__mro__[2]
"""What every complaint about options descends from, whether Typer brings its own click or not."""

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")


def _print_version(asked: bool) -> None:
    if asked:
        out.print(f"sim {version('sim')}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
    print_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Simulate clinical trials of low back pain: reported trials, priors, virtual patients, sample size."""


@cache
def command() -> typer.Typer:
    """Give the app its commands; each module is imported only when the command line starts."""
    from sim.cli import (
        adaptive,
        analyse,
        boundaries,
        collect,
        compare,
        evidence,
        export,
        fit,
        predict,
        prior,
        region,
        replay,
        run,
        scaffold,
        sensitivity,
        size,
        studies,
        threshold,
        validate,
    )

    panels: dict[str, dict[str, Callable[..., object]]] = {
        "Studies": {
            "init": scaffold.init,
            "check": studies.check,
            "run": run.study_run,
            "collect": collect.collect,
            "report": run.report,
            "replay": replay.replay,
            "export": export.export,
        },
        "Designs": {
            "size": size.size,
            "compare": compare.compare,
            "sensitivity": sensitivity.sensitivity,
            "region": region.region,
            "threshold": threshold.threshold,
            "boundaries": boundaries.boundaries,
            "adaptive": adaptive.adaptive,
        },
        "Evidence": {"fit": fit.fit, "prior": prior.prior},
        "Real trials": {"analyse": analyse.analyse, "predict": predict.predict},
        "Installation": {"schema": scaffold.schema, "validate": validate.validate},
    }
    for panel, commands in panels.items():
        for name, function in commands.items():
            app.command(name, rich_help_panel=panel)(function)
    app.add_typer(evidence.app, name="evidence", rich_help_panel="Evidence")
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with 0 (done), 1 (ran and failed) or 2 (the input is wrong)."""
    given = sys.argv[1:] if arguments is None else arguments
    rest = [a for a in given if a != "--debug"]
    sys.exit(_run(rest or ["--help"], debug="--debug" in given))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        code = command()(arguments, standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return complain(INTERRUPTED, "interrupted; finished work is kept, the same command continues it")
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error)
    return code if isinstance(code, int) else DONE


def _explain(error: Exception) -> int:
    """Say in one line each what is wrong, and whose turn it is by the exit code."""
    if isinstance(error, InputError):
        return complain(WRONG_INPUT, *error.problems)
    if isinstance(error, RunError):
        return complain(FAILED, str(error))
    if isinstance(error, ParserError):
        return complain(WRONG_INPUT, f"{error.format_message()} (--help lists what is allowed)")
    return complain(FAILED, f"{type(error).__name__}: {error} (--debug shows the traceback)")
