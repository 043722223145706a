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

from sim.cli.console import err, out, print_json
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.execution import Plan, default_workers, run
from sim.results import Results
from sim.sample_size import default_sizing, find, searches, write
from sim.study import Study

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

    try:
        yield replace(plan, progress=tell)
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
    set_: Assignments = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder of the results.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a study: fit or find its syntheses, simulate, summarise, find sample sizes, report.

    What is already there is not computed again; more replicates add to it.

    Example: `sim run configs/studies/chronic_four_arms.yaml --replicates 2000`
    """
    spec = read_study(study, [*_assignments(replicates, seed), *(set_ or [])])
    plan = Plan(posteriors=find_posteriors(spec, json), workers=workers or default_workers())
    results = simulate_all(spec, plan, out_dir, json)
    for name, file in plan.posteriors.items():
        copy_synthesis(file.parent, results.folder / "synthesis" / name)
    if spec.size:
        size_all(spec, plan, results.folder, json)
    from sim.report.html import render
    from sim.report.words import summary_table

    report = render(results)
    if json:
        print_json({"results": str(results.folder), "characteristics": _records(results)})
    else:
        out.print(summary_table(results), markup=False)
        out.print(f"\nreport: {report}", markup=False)


def _assignments(replicates: int | None, seed: int | None) -> list[str]:
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
    from sim.cli.fit import fit_with_progress
    from sim.core.loading import validate
    from sim.synthesis import Synthesis

    found = {}
    for name in names:
        config = validate(study.syntheses[name], Synthesis, f"syntheses.{name}")
        found[name] = fit_with_progress(config, quiet) / "draws.npz"
    return found


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


def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="DIR")]) -> None:
    """Render the report of a finished run again.

    Example: `sim report results/chronic_four_arms/0123456789ab`
    """
    from sim.report.html import render

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    out.print(str(render(Results.open(folder))), markup=False)
