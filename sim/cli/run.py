"""``sim run`` and ``sim report``: from a study to its report."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sim.array_jobs import run_some
from sim.cli.console import err, out, print_json
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.examples import write as write_examples
from sim.execution import Plan, run
from sim.executors import cluster, default_workers
from sim.results import Results
from sim.sample_size import default_sizing, find, searches, write
from sim.sensitivity import vary
from sim.sensitivity import write as write_sensitivity
from sim.study import Study
from sim.timeline import write as write_timeline

Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="Change one value: PATH=VALUE; repeatable.")
]


@contextmanager
def telling(plan: Plan, title: str, quiet: bool = False) -> Iterator[Plan]:
    """Show the plan's progress as a bar with the time left, on standard error.

    The bar appears with the first news, so that an error before the work is a line of its own.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=err, disable=quiet)
    task = bar.add_task(title, total=None)

    def tell(done: int, planned: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=planned)

    def say(line: str) -> None:
        err.print(line, markup=False)

    try:
        yield plan if quiet else replace(plan, progress=tell, tell=say)
    finally:
        if bar.live.is_started:
            bar.stop()


def study_run(  # noqa: PLR0913, one parameter an option
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    replicates: Annotated[
        int | None, typer.Option(help="Replicates of every cell, instead of the study's.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the study's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.", min=1)] = None,
    executor: Annotated[
        str, typer.Option(help="processes, dask (a local cluster), or tcp://HOST:PORT of a Dask scheduler.")
    ] = "processes",
    block: Annotated[
        str | None,
        typer.Option(help="Compute only this block of 128 replicates of every cell, or a range as 0-99."),
    ] = None,
    set_: Assignments = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder of the results.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a study: fit or find its syntheses, simulate, summarise, find sample sizes, report.

    What is already there is not computed again; more replicates add to it. With --block it is one task of an
    array job; the command collect then makes the results of all blocks.

    Example: `sim run configs/studies/chronic_four_arms.yaml --replicates 2000`
    """
    spec = read_study(study, [*assignments(replicates, seed), *(set_ or [])])
    chosen = None if block is None else blocks_of(block)
    plan = Plan(posteriors=find_posteriors(spec, json), workers=workers or default_workers())
    with computing(plan, executor) as ready:
        if chosen is not None:
            return one_task(spec, ready, chosen, (out_dir, json))
        results = simulate_all(spec, ready, out_dir, json)
        complete(spec, ready, results, json)
    tell_results(results, json)


def complete(study: Study, plan: Plan, results: Results, quiet: bool) -> None:
    """Keep the syntheses beside the results, with example trials and what else the study asks for."""
    for name, file in plan.posteriors.items():
        copy_synthesis(file.parent, results.folder / "synthesis" / name)
    if study.size:
        size_all(study, plan, results.folder, quiet)
    write_examples(results.folder, study, results, plan)
    write_timeline(results.folder, study, plan)
    if study.sensitivity:
        with telling(plan, "simulating variations", quiet) as told:
            write_sensitivity(results.folder, vary(study, study.sensitivity, told, results.folder))


def tell_results(results: Results, json: bool) -> None:
    """Render the report and print the results."""
    from sim.report.html import render
    from sim.report.words import summary_table

    report = render(results)
    if json:
        print_json({"results": str(results.folder), "characteristics": _records(results)})
    else:
        out.print(summary_table(results), markup=False)
        for failed in results.provenance.get("failed_blocks", []):
            err.print("a block failed and is left out: {error}; {replay}".format(**failed), markup=False)
        out.print(f"\nreport: {report}", markup=False)


def blocks_of(text: str) -> range:
    """Read ``17`` or ``0-99``, both ends included."""
    first, dash, last = text.partition("-")
    if not (first.isdecimal() and (last.isdecimal() if dash else not last)):
        raise InputError(f"--block: '{text}' is neither a block's number nor a range as 0-99")
    chosen = range(int(first), int(last or first) + 1)
    if not chosen:
        raise InputError(f"--block: the range {text} is empty")
    return chosen


@contextmanager
def computing(plan: Plan, executor: str) -> Iterator[Plan]:
    """Let the plan use the executor that was asked for."""
    if executor == "processes":
        yield plan
        return
    with cluster(executor, plan.workers) as ready:
        yield replace(plan, executor=ready)


def one_task(study: Study, plan: Plan, chosen: range, output: tuple[Path | None, bool]) -> None:
    """Compute some blocks and say where they are."""
    folder, json = output
    with telling(plan, "simulating blocks of trials", json) as told:
        where, computed = run_some(study, told, chosen, folder)
    if json:
        print_json({"results": str(where), "computed": computed})
    else:
        out.print(f"{computed} blocks computed in {where}; sim collect makes the results", markup=False)


def assignments(replicates: int | None, seed: int | None) -> list[str]:
    """Write options as assignments to the study."""
    given = (("replicates", replicates), ("seed", seed))
    return [f"{name}={value}" for name, value in given if value is not None]


def _records(results: Results) -> list[dict[str, object]]:
    frame = results.characteristics
    return [
        {str(key): (None if value != value else value) for key, value in row.items()}
        for row in frame.to_dict("records")
    ]


def find_posteriors(study: Study, quiet: bool = False) -> dict[str, Path]:
    """Find the draws of every synthesis that the study uses, fitting what is not there."""
    names = sorted(study.synthesis_names())
    if not names:
        return {}
    from sim.cli.fit import fit_all
    from sim.core.loading import validate
    from sim.synthesis import Synthesis

    configs = [validate(study.syntheses[name], Synthesis, f"syntheses.{name}") for name in names]
    folders = fit_all(configs, quiet)
    return {name: folder / "draws.npz" for name, folder in zip(names, folders, strict=True)}


def simulate_all(study: Study, plan: Plan, folder: Path | None, quiet: bool) -> Results:
    """Run the study's blocks under a progress bar."""
    with telling(plan, "simulating blocks of trials", quiet) as told:
        return run(study, told, folder)


def size_all(study: Study, plan: Plan, folder: Path, quiet: bool) -> None:
    """Find the sample sizes that the study asks for."""
    answers, curve = [], []
    for search in searches(study, default_sizing(study)):
        with telling(plan, f"looking for the sample size, {search.target} {search.goal:g}", quiet) as told:
            more, points = find(search, told, folder)
        answers += more
        curve += points
    write(folder, answers, curve)


def copy_synthesis(fit: Path, folder: Path) -> None:
    """Keep the synthesis' tables and figures beside the results, without its draws and folds."""
    for file in sorted(fit.rglob("*")):
        if file.parent.name != "folds" and file.suffix in (".csv", ".json", ".png", ".yaml"):
            target = folder / file.relative_to(fit)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="DIR")],
    form: Annotated[
        str, typer.Option("--format", help="html; md (Markdown); docx (Word), which needs python-docx.")
    ] = "html",
) -> None:
    """Render the report of a finished run again: report.html, explorer.html and the figures.

    Example: `sim report results/chronic_four_arms/0123456789ab --format docx`
    """
    from sim.report.html import render_as

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    out.print(str(render_as(Results.open(folder), form)), markup=False)
