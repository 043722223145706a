"""Designs as rpact and gsDesign write them, as ours."""

from typing import Any

import numpy as np

from sim.rules.boundaries import Design
from sim.rules.spending import parse_spending

RPACT = {
    "OF": "obrien_fleming",
    "P": "pocock",
    "WT": "wang_tsiatis:{deltaWT}",
    "asOF": "ld_obrien_fleming",
    "asP": "ld_pocock",
    "asHSD": "hsd:{gammaA}",
    "asKD": "kim_demets:{gammaA}",
    "bsOF": "ld_obrien_fleming",
    "bsP": "ld_pocock",
    "bsHSD": "hsd:{gammaB}",
}
GSDESIGN = {
    "OF": "obrien_fleming",
    "Pocock": "pocock",
    "sfLDOF": "ld_obrien_fleming",
    "sfLDPocock": "ld_pocock",
    "sfHSD": "hsd:{}",
}


def equal_looks(k: int) -> list[float]:
    return [(look + 1) / k for look in range(k)]


def rpact_futility(given: dict[str, Any]) -> str | None:
    if "typeBetaSpending" in given:
        return RPACT[given["typeBetaSpending"]].format(**given)
    if "futilityBounds" in given:
        return "z:" + ",".join(str(z) for z in np.atleast_1d(given["futilityBounds"]))
    return None


def rpact_design(given: dict[str, Any]) -> Design:
    futility = rpact_futility(given)
    return Design(
        alpha=given["alpha"],
        beta=given["beta"],
        sided=given["sided"],
        information=given.get("informationRates") or equal_looks(given["kMax"]),
        spending=parse_spending(RPACT[given["typeOfDesign"]].format(**given), "spending"),
        futility=futility and parse_spending(futility, "futility", given_bounds=True),
        binding=given.get("bindingFutility", False),
    )


def gsdesign_design(given: dict[str, Any]) -> Design:
    """Test types: 1 one-sided, 2 symmetric, 3 and 4 beta spending, 5 and 6 spending under the null."""
    kind, sided = given["test.type"], 2 if given["test.type"] == 2 else 1
    return Design(
        alpha=given["alpha"] * sided,
        beta=given["beta"],
        sided=sided,
        information=[*given["timing"], 1.0] if "timing" in given else equal_looks(given["k"]),
        spending=parse_spending(GSDESIGN[given["sfu"]].format(given.get("sfupar")), "spending"),
        futility=parse_spending(GSDESIGN[given["sfl"]].format(given["sflpar"]), "futility")
        if kind > 2
        else None,
        binding=kind in (3, 5),
        futility_under="null" if kind in (5, 6) else "alternative",
    )
