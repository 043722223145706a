"""``sim size --budget``: the largest trial that stays within a budget."""

from typing import Any

from rich.table import Table

from sim.budget import Outlay, within_budget
from sim.cli.console import out, print_json
from sim.cli.run import telling
from sim.core.errors import InputError
from sim.execution import Plan
from sim.sample_size import Search


def size_by_budget(search: Search, limit: tuple[float, float], plan: Plan, json: bool) -> None:
    """Print the largest size that costs no more than ``limit[0]`` with probability ``limit[1]``."""
    budget, sure = limit
    if budget <= 0 or not 0 < sure < 1:
        raise InputError("--budget, --sure: a budget is above 0, and a probability above 0 and below 1")
    with telling(plan, "looking for the largest trial within the budget", json) as told:
        chosen, curve = within_budget(search, budget, sure, told)
    if json:
        answer = {"n_total": None} if chosen is None else _row(chosen)
        asked = {"budget": budget, "sure": sure, "scenario": search.scenario_name}
        print_json(asked | answer | {"curve": [_row(outlay) for outlay in curve]})
        return
    assert search.scenario.costs is not None
    money = search.scenario.costs.currency
    if chosen is None:
        smallest = curve[0]
        out.print(
            f"No trial fits: {smallest.n_total} patients cost {smallest.cost.value:,.0f} {money} on average.",
            markup=False,
        )
        return
    out.print(
        f"{chosen.n_total} patients cost at most {budget:,.0f} {money} with probability "
        f"{chosen.within.value:.3f} ({chosen.within.mcse:.3f}).",
        markup=False,
    )
    out.print(_table([*curve[:: max(len(curve) // 8, 1)], chosen], money))


def _row(outlay: Outlay) -> dict[str, Any]:
    row = {"n_total": outlay.n_total, "within": outlay.within.value, "within_mcse": outlay.within.mcse}
    row |= {"success": outlay.success.value, "success_mcse": outlay.success.mcse}
    row |= {"cost": outlay.cost.value, "cost_mcse": outlay.cost.mcse}
    return row | {name: found.value for name, found in outlay.quantiles.items()}


def _table(outlays: list[Outlay], money: str) -> Table:
    heads = ("patients", f"cost, {money}: mean", "5 to 95 % of trials", "within the budget", "assurance")
    table = Table(*heads)
    for outlay in sorted({one.n_total: one for one in outlays}.values(), key=lambda one: one.n_total):
        low, high = (outlay.quantiles[name].value for name in ("cost_q05", "cost_q95"))
        shares = (f"{share.value:.3f} ({share.mcse:.3f})" for share in (outlay.within, outlay.success))
        table.add_row(str(outlay.n_total), f"{outlay.cost.value:,.0f}", f"{low:,.0f} to {high:,.0f}", *shares)
    return table
