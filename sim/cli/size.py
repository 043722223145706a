"""``sim size``: the smallest trial that reaches a power or an assurance."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sim.cli.budget import size_by_budget
from sim.cli.console import out, print_json
from sim.cli.run import find_posteriors, telling
from sim.cli.show_designs import show_designs
from sim.cli.studies import read_study
from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.execution import Plan
from sim.front import simulated
from sim.results import write_csv
from sim.sample_size import Benefit, CurvePoint, SampleSize, Target, default_sizing, find, searches
from sim.sample_size import table as tabulate
from sim.study import Sizing, Study


def size(  # noqa: PLR0913, one parameter an option
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    power: Annotated[float | None, typer.Option(help="Power to reach, claims at their means.")] = None,
    assurance: Annotated[float | None, typer.Option(help="Assurance to reach, claims drawn.")] = None,
    given_benefit: Annotated[
        float | None, typer.Option(help="Assurance among trials whose true benefit is at least this.")
    ] = None,
    and_benefit: Annotated[
        float | None, typer.Option(help="Assurance of success with a true benefit of at least this.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Write success at every size of every protocol and scenario here.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="The largest size that costs no more; prices and effects drawn.")
    ] = None,
    sure: Annotated[float, typer.Option(help="Probability of staying within the budget.")] = 0.8,
    front: Annotated[
        bool, typer.Option("--front", help="Every protocol at each of its sizes, side by side.")
    ] = False,
    scenario: Annotated[str | None, typer.Option(help="Scenario of --front.")] = None,
    worth: Annotated[
        float | None, typer.Option(help="Of --front: worth of a success, in the costs' currency.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Of --front: PNG to draw the designs in.")] = None,
    arm: Annotated[str | None, typer.Option(help="Arm that the JSON's top level answers for.")] = None,
    largest: Annotated[int | None, typer.Option(help="Largest total size to look at.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: PATH=VALUE; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Find the smallest sample size, with its uncertainty and the curve; confirmed on fresh patients.

    The size reaches the goal with probability 0.95 or more given the error of the simulation. A benefit is
    in the unit of the primary estimand, positive for better.

    Example: `sim size configs/studies/benchmark_two_arm.yaml --power 0.9`

    Example: `sim size configs/studies/chronic_four_arms.yaml --assurance 0.8 --given-benefit 1`

    Example: `sim size configs/studies/chronic_four_arms.yaml --table sizes.csv`

    Example: `sim size configs/studies/drug_multisite.yaml --budget 2000000 --sure 0.9`

    Example: `sim size configs/studies/design_choice.yaml --front --scenario reported --worth 10000000`
    """
    if sum(asked is not None for asked in (power, assurance, table, budget, front or None)) != 1:
        raise InputError("sim size: give one of --power, --assurance or --table, --budget, or --front")
    if (scenario, worth, figure) != (None, None, None) and not front:
        raise InputError("sim size: --scenario, --worth and --figure are for --front")
    spec = read_study(study, set_ or [])
    sizing = default_sizing(spec).model_copy(update={"largest": largest} if largest else {})
    benefit = _benefit(given_benefit, and_benefit, assurance is not None)
    plan = Plan(posteriors=find_posteriors(spec, json))
    if table is not None:
        _write_table(spec, sizing, plan, table, json)
        return
    if front:
        with telling(plan, "simulating designs", json) as told:
            choice = simulated(spec, (scenario, worth), sizing.replicates, told)
        show_designs(choice, None, figure, json)
        return
    if budget is not None:
        size_by_budget(searches(spec, sizing, ("assurance",))[0], (budget, sure), plan, json)
        return
    target: Target = "power" if power is not None else "assurance"
    goal = power if power is not None else assurance
    if goal is None or not 0 < goal < 1:
        raise InputError(f"--{target}: {goal} is not a probability; allowed: above 0 and below 1")
    search = searches(spec, sizing.model_copy(update={target: goal}), (target,))[0]
    with telling(plan, "looking for the sample size", json) as told:
        answers, curve = find(replace(search, benefit=benefit), told)
    chosen = _choose(answers, arm)
    if json:
        print_json(_content(chosen, answers, curve))
    else:
        for answer in answers:
            out.print(answer.words(), markup=False)
        out.print(_table(answers))


def _write_table(study: Study, sizing: Sizing, plan: Plan, file: Path, json: bool) -> None:
    with telling(plan, "simulating sample sizes", json) as told:
        points = [asdict(point) for point in tabulate(study, sizing, told)]
    write_csv(file, [{"metric" if k == "target" else k: v for k, v in row.items()} for row in points])
    if json:
        print_json({"table": str(file), "rows": len(points)})
    else:
        out.print(f"{len(points)} success rates: {file}", markup=False)


def _benefit(given: float | None, together: float | None, drawn: bool) -> Benefit | None:
    if given is None and together is None:
        return None
    if not drawn:
        raise InputError("--given-benefit, --and-benefit: only --assurance draws true benefits")
    if given is not None and together is not None:
        raise InputError("sim size: give one of --given-benefit or --and-benefit")
    return Benefit(given, "given") if given is not None else Benefit(float(together or 0), "and")


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
        "certainty": chosen.certainty,
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
        "arm",
        "patients per arm",
        "just reached at (95 % interval)",
        "patients in all",
        "on fresh patients",
        "sure",
        "note",
    )
    for answer in answers:
        reached = answer.n_per_arm is not None
        table.add_row(
            answer.arm,
            str(answer.n_per_arm) if reached else "not reached",
            f"{answer.low:.0f} to {answer.high:.0f}" if reached else "",
            str(answer.n_total) if reached else "",
            f"{answer.value:.3f} ({answer.mcse:.3f})",
            f"{answer.certainty:.3f}",
            answer.note,
            end_section=False,
        )
    return table
