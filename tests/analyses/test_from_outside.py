"""One file outside the package adds an analysis and an endpoint, one YAML file a treatment."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from sim import Plan, Study, run
from sim.core.loading import read_yaml

MODULE = '''
"""Means without the extremes, and much less pain."""

from typing import ClassVar, Literal

import numpy as np

from sim.analyses.base import Analysis, Estimate
from sim.endpoints import Endpoint


class Trimmed(Analysis):
    """Difference in trimmed means, each of one trial at a time (Yuen 1974, Biometrika 61: 165-170)."""

    kind: Literal["outside:Trimmed"] = "outside:Trimmed"
    summary: ClassVar[str | None] = "mean_difference"
    cut: float = 0.1

    def estimate(self, observed):
        """Trim and compare."""
        shape = (len(observed.of), len(observed.data.sizes), observed.arm.shape[1])
        found = np.empty((3, *shape))
        for cell in np.ndindex(shape):
            size = observed.data.sizes[cell[1]]
            y, arm = observed.value[:size, cell[2]], observed.arm[:size, cell[2]]
            parts = [self.part(y[(arm == a) & ~np.isnan(y)]) for a in (observed.of[cell[0]], observed.to)]
            found[(slice(None), *cell)] = parts[0][0] - parts[1][0], np.hypot(parts[0][1], parts[1][1]), size
        return Estimate.by_t(found[0], found[1], np.full(shape, np.inf), found[2])

    def part(self, y):
        """Trimmed mean and its standard error from the winsorised variance."""
        y = np.sort(y)
        g = int(self.cut * len(y))
        middle = y[g : len(y) - g]
        winsorised = np.clip(y, middle[0], middle[-1])
        return middle.mean(), winsorised.std(ddof=1) / ((1 - 2 * self.cut) * np.sqrt(len(y)))

    def words(self):
        """Say the analysis in words."""
        return f"difference in means trimmed by {self.cut:.0%}"


class FarLess(Endpoint):
    """Pain at least so many points below baseline."""

    outcome: ClassVar[str] = "binary"
    kind: Literal["outside:FarLess"] = "outside:FarLess"
    points: float
    better: Literal["lower", "higher"] = "higher"

    def value(self, baseline, score):
        """Return 1 where it is reached."""
        return np.where(np.isnan(score), np.nan, baseline - score >= self.points)

    def words(self):
        """Say the endpoint in words."""
        return f"pain at least {self.points:g} points below baseline"
'''
TREATMENT = {
    "label": "ours",
    "effect": {
        "kind": "exponential_onset",
        "plateau": {"kind": "normal", "mean": -2.5, "sd": 0.1, "because": "a large effect"},
        "half_weeks": {"assume": 1, "because": "test"},
        "persistence_half_weeks": {"assume": 2, "because": "test"},
    },
}


@pytest.fixture
def study_file(tmp_path: Path, two_arm_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small study with an analysis, an endpoint and a treatment of our own."""
    (tmp_path / "outside.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(TREATMENT), encoding="utf-8")
    tree = read_yaml(two_arm_file)
    protocol = tree["protocols"]["small"]
    protocol["arms"][1]["treatment"] = "ours"
    protocol["endpoints"] = {"far_less": {"kind": "outside:FarLess", "points": 3}}
    contrast = {"of": "active", "to": "control"}
    protocol["estimands"]["far"] = {
        "endpoint": "far_less",
        "visit": 12,
        "contrast": contrast,
        "summary": "risk_difference",
    }
    rule = {"kind": "one_sided", "alpha": 0.025}
    protocol["looks"] = [
        {"analysis": {"kind": "outside:Trimmed", "estimand": "primary", "cut": 0.2}, "rule": rule},
        {"analysis": {"kind": "logistic", "estimand": "far"}, "rule": rule},
    ]
    expected = tree["scenarios"]["expected"]
    expected["treatments"]["ours"] = {"from": "ours.yaml"}
    tree["scenarios"] = {"expected": expected}
    tree["replicates"] = 128
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return file


def test_a_study_of_our_own_parts_runs_and_runs_again_as_it_was_written(study_file: Path, tmp_path: Path):
    first = run(Study.load(study_file), Plan(workers=1), tmp_path / "first").characteristics
    power = first[first["metric"] == "power"].set_index("n")["value"]
    assert (power.loc[80] > 0.9).all()
    bias = first[(first["metric"] == "bias") & (first["n"] == 80) & (first["estimand"] == "primary")]
    assert (bias["value"].abs() < 0.5).all()
    # what the run wrote names the same classes
    again = run(Study.load(tmp_path / "first" / "study.yaml"), Plan(workers=1), tmp_path / "again")
    np.testing.assert_array_equal(first["value"], again.characteristics["value"])


def test_a_model_without_a_fit_is_counted_as_failed(two_arm_file: Path, tmp_path: Path):
    """Five visits of 10 patients do not always determine an unstructured covariance."""
    tree = read_yaml(two_arm_file)
    protocol = tree["protocols"]["small"]
    protocol |= {"n": 10, "sizes": [], "visits": [0, 2, 4, 6, 9, 12]}
    rule = {"kind": "one_sided", "alpha": 0.025}
    protocol["looks"] = [{"analysis": {"kind": "mmrm", "estimand": "primary"}, "rule": rule}]
    tree["scenarios"] = {"expected": tree["scenarios"]["expected"]}
    tree["replicates"] = 256
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    results = run(Study.load(file), Plan(workers=1), tmp_path / "out")
    table = results.characteristics.set_index("metric")
    rows = results.records("small", "expected")
    share = float(np.isnan(rows["estimate"]).mean())
    assert 0 < share < 1
    assert float(table.loc["failed", "value"]) == share
    assert np.isfinite(table.loc["bias", "value"])
    assert not rows["success"][np.isnan(rows["estimate"])].any()
