"""What the ranks of a case say, and the file in which it is kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.calibration.case import Case
from tests.calibration.ranks import Uniformity, histogram

RESULT = Path(__file__).parent / "result.json"
ALPHA = 0.01
"""Chance that all tests of a right model together raise an alarm (Bonferroni)."""
KEYS = ("replications", "refitted", "not_converged", "with_divergences")


def judge(case: Case, right: list[dict[str, Any]], wrong: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the ranks, test them, and test those of the faulty data."""
    made = _tested(right)
    fault = {"what": case.fault, **_tested(wrong)}
    return {**made, "fault": fault}


def _tested(replications: list[dict[str, Any]]) -> dict[str, Any]:
    names = replications[0]["ranks"]
    ranks = {name: histogram([one["ranks"][name] for one in replications]).tolist() for name in names}
    return {
        "replications": len(replications),
        "refitted": sum(one["tries"] > 1 for one in replications),
        "not_converged": sum(not one["converged"] for one in replications),
        "with_divergences": sum(one["divergences"] > 0 for one in replications),
        "ranks": ranks,
        **statistics(ranks),
    }


def statistics(ranks: dict[str, list[int]]) -> dict[str, Any]:
    """P-values of the quantities' histograms; ``adjusted_p`` is the smallest times the number of tests."""
    counts = np.array(list(ranks.values()))
    uniformity = Uniformity(int(counts[0].sum()))
    p = {
        test: dict(zip(ranks, (round(float(v), 6) for v in values), strict=True))
        for test, values in (("chi_square", uniformity.chi_square(counts)), ("ecdf", uniformity.ecdf(counts)))
    }
    low, high = uniformity.bands()
    below = counts.cumsum(axis=1)[:, :-1]
    outside = int(((below < low) | (below > high)).any(axis=1).sum())
    smallest, worst, test = min((value, name, test) for test, of in p.items() for name, value in of.items())
    tests = 2 * len(ranks)
    return {
        "quantities": len(ranks),
        "smallest_p": smallest,
        "worst": f"{worst} ({test})",
        "adjusted_p": min(1.0, round(smallest * tests, 6)),
        "outside_bands": outside,
        **p,
    }


def holds(made: dict[str, Any]) -> bool:
    """Whether the ranks pass and the fault is found."""
    return made["adjusted_p"] >= ALPHA > made["fault"]["adjusted_p"]


def words(name: str, made: dict[str, Any]) -> str:
    """One line on a case."""
    fault = made["fault"]
    return (
        f"{name}: {'holds' if holds(made) else 'FAILS'}; {made['replications']} replications, "
        f"{made['quantities']} quantities, smallest p {made['smallest_p']:.2g} of {made['worst']}, "
        f"adjusted {made['adjusted_p']:.2g}; {made['outside_bands']} outside their 95 % band; "
        f"refitted {made['refitted']}, not converged {made['not_converged']}, "
        f"with divergences {made['with_divergences']}; fault ({fault['replications']}): "
        f"adjusted p {fault['adjusted_p']:.2g} of {fault['worst']}"
    )


def read() -> dict[str, Any]:
    """Stored cases by name; none where nothing is stored."""
    return json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}


def store(name: str, made: dict[str, Any]) -> None:
    """Put one case into the file, a line for each quantity's ranks."""
    text = _text({**read(), name: made}, 0)
    RESULT.write_text(text + "\n", encoding="utf-8")


def _text(tree: Any, depth: int) -> str:
    """Write JSON with mappings down the page and lists in a line."""
    if not isinstance(tree, dict):
        return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)
    inner = (f"{' ' * (depth + 1)}{json.dumps(key)}: {_text(tree[key], depth + 1)}" for key in sorted(tree))
    return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}"
