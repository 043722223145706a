"""``sim size``: the smallest trial that reaches a power or an assurance."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sim.cli.console import out, print_json
from sim.cli.run import find_posteriors, telling
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.execution import Plan
from sim.sample_size import CurvePoint, SampleSize, Target, default_sizing, find, searches


def size(  # noqa: PLR0913, one parameter an option
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    power: Annotated[float | None, typer.Option(help="Power to reach, claims at their means.")] = None,
    assurance: Annotated[float | None, typer.Option(help="Assurance to reach, claims drawn.")] = None,
    arm: Annotated[str | None, typer.Option(help="Arm that the JSON's top level answers for.")] = None,
    largest: Annotated[int | None, typer.Option(help="Largest total size to look at.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: PATH=VALUE; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Find the smallest sample size, with its uncertainty and the curve; confirmed on fresh patients.

    Example: `sim size configs/studies/benchmark_two_arm.yaml --power 0.9`
    """
    if (power is None) == (assurance is None):
        raise InputError("sim size: give one of --power or --assurance")
    target: Target = "power" if power is not None else "assurance"
    goal = power if power is not None else assurance
    if goal is None or not 0 < goal < 1:
        raise InputError(f"--{target}: {goal} is not a probability; allowed: above 0 and below 1")
    spec = read_study(study, set_ or [])
    sizing = default_sizing(spec).model_copy(
        update={target: goal, **({"largest": largest} if largest else {})}
    )
    plan = Plan(posteriors=find_posteriors(spec, json))
    with telling(plan, "looking for the sample size", json) as told:
        answers, curve = find(searches(spec, sizing, (target,))[0], told)
    chosen = _choose(answers, arm)
    if json:
        print_json(_content(chosen, answers, curve))
    else:
        out.print(_table(answers))


def _choose(answers: list[SampleSize], arm: str | None) -> SampleSize:
    names = [answer.arm for answer in answers]
    if arm is None:
        return answers[0]
    if arm not in names:
        raise InputError(f"--arm: unknown arm '{arm}':{suggest(arm, names)}")
    return answers[names.index(arm)]


def _content(chosen: SampleSize, answers: list[SampleSize], curve: list[CurvePoint]) -> dict[str, Any]:
    content = {
        "arm": chosen.arm,
        "n_per_arm": chosen.n_per_arm,
        "n_total": chosen.n_total,
        "power": chosen.value,
        "mcse": chosen.mcse,
        "interval": [chosen.low, chosen.high],
        "note": chosen.note,
        "curve": [asdict(point) for point in curve if point.arm == chosen.arm],
        "arms": [asdict(answer) for answer in answers],
    }
    return {key: _clean(value) for key, value in content.items()}


def _clean(content: Any) -> Any:
    """Replace nan, which JSON does not know, by null."""
    if isinstance(content, dict):
        return {key: _clean(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_clean(value) for value in content]
    return None if isinstance(content, float) and content != content else content


def _table(answers: list[SampleSize]) -> Table:
    table = Table(
        "arm", "patients per arm", "95 % interval", "patients in all", "reached on fresh patients", "note"
    )
    for answer in answers:
        reached = answer.n_per_arm is not None
        table.add_row(
            answer.arm,
            str(answer.n_per_arm) if reached else "not reached",
            f"{answer.low:.0f} to {answer.high:.0f}" if reached else "",
            str(answer.n_total) if reached else "",
            f"{answer.value:.3f} ({answer.mcse:.3f})",
            answer.note,
            end_section=False,
        )
    return table
