"""The ``sim`` command: what it offers, and how it ends."""

import sys
import traceback
from functools import cache
from typing import Annotated, Any

import typer

from sim.cli.console import complain
from sim.core.errors import InputError, RunError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

ParserError: type[Any] = typer.BadParameter.__mro__[2]
"""What every complaint about options descends from, whether Typer brings its own click or not."""

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
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
        validate,
    )

    app.command("run")(run.study_run)
    app.command()(collect.collect)
    app.command()(studies.check)
    app.command()(size.size)
    app.command()(region.region)
    app.command()(sensitivity.sensitivity)
    app.command()(predict.predict)
    app.command()(adaptive.adaptive)
    app.command()(replay.replay)
    app.command()(compare.compare)
    app.command()(run.report)
    app.command()(export.export)
    app.add_typer(evidence.app, name="evidence")
    app.command()(fit.fit)
    app.command()(prior.prior)
    app.command()(boundaries.boundaries)
    app.command()(analyse.analyse)
    app.command()(scaffold.init)
    app.command()(scaffold.schema)
    app.command()(validate.validate)
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
