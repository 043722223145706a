"""``sim region``: the type I error over a region of nuisance values."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.table import Table

from sim.cli.console import out, print_json, print_wide
from sim.cli.run import Assignments, find_posteriors, telling
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.execution import Plan
from sim.executors import default_workers
from sim.region import CellError, cells, maxima, over
from sim.results import write_csv
from sim.study import Region


def region(
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    file: Annotated[Path | None, typer.Option("--out", help="Write every cell here, as CSV.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.", min=1)] = None,
    set_: Assignments = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Simulate the type I error at every combination of the study's `region`, and bound its maximum.

    All cells meet the same patients. The bound is the largest upper limit of Clopper and Pearson, with the
    5 % shared by the cells: with probability 0.95 no cell's error lies above it.

    Example: `sim region configs/studies/type_1_region.yaml --out region.csv`
    """
    spec = read_study(study, set_ or [])
    if spec.region is None:
        raise InputError(f"{study}: region: required, but not given")
    plan = Plan(posteriors=find_posteriors(spec, json), workers=workers or default_workers())
    with telling(plan, "simulating null trials", json) as told:
        errors = list(over(spec, spec.region, told))
    if file:
        write_csv(file, [_row(spec.region, error) for error in errors])
    if json:
        worst = [_row(spec.region, error) for error in maxima(errors)]
        print_json({"maxima": worst, "cells": [_row(spec.region, error) for error in errors]})
    else:
        _show(spec.region, maxima(errors))


def _row(region: Region, error: CellError) -> dict[str, Any]:
    names = {"protocol": error.protocol, "hypothesis": error.hypothesis}
    found = {name: getattr(error, name) for name in ("value", "mcse", "high", "replicates")}
    return names | dict(zip(region.over, error.values, strict=True)) | found


def _show(region: Region, worst: list[CellError]) -> None:
    table = Table("protocol", "hypothesis", "largest type I error", "at most", "where", box=SIMPLE)
    for error in worst:
        where = ", ".join(f"{path} {value:g}" for path, value in zip(region.over, error.values, strict=True))
        rate = f"{error.value:.4f} ({error.mcse:.4f})"
        table.add_row(error.protocol, error.hypothesis, rate, f"{error.high:.4f}", where)
    print_wide(table)
    out.print(
        f"{len(cells(region))} cells of {region.replicates} trials, the same patients in each; Monte Carlo "
        "error in brackets; 'at most' holds for all cells together with probability 0.95."
    )
