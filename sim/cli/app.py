"""The ``sim`` command: what it offers, and how it ends."""

import sys
from typing import Annotated

import click
import typer

from sim.cli.console import complain
from sim.core.errors import InputError, RunError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
) -> None:
    """Simulate clinical trials of low back pain: reported trials, priors, virtual patients, sample size."""


def _register() -> None:
    """Give the app its commands; each module is imported only when the command line starts."""
    from sim.cli import analyse, boundaries, evidence, fit, run, size, studies

    app.command("run")(run.study_run)
    app.command()(studies.check)
    app.command()(size.size)
    app.command()(run.report)
    app.add_typer(evidence.app, name="evidence")
    app.command()(fit.fit)
    app.command()(boundaries.boundaries)
    app.command()(analyse.analyse)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with 0 (done), 1 (ran and failed) or 2 (the input is wrong)."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    _register()
    sys.exit(_run([a for a in given if a != "--debug"], debug))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        code = app(arguments, standalone_mode=False)
    except (click.exceptions.Exit, typer.Exit) as stop:
        return stop.exit_code
    except click.ClickException as error:
        return complain(WRONG_INPUT, error.format_message())
    except InputError as error:
        if debug:
            raise
        return complain(WRONG_INPUT, *error.problems)
    except (KeyboardInterrupt, click.Abort):
        return complain(INTERRUPTED, "interrupted; finished work is kept, the same command continues it")
    except RunError as error:
        if debug:
            raise
        return complain(FAILED, str(error))
    except Exception as error:
        if debug:
            raise
        return complain(FAILED, f"{type(error).__name__}: {error} (--debug shows the traceback)")
    return code if isinstance(code, int) else DONE
