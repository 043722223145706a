"""Waiting, kits and money as operating characteristics: by hand, and errors against their own spread."""

import numpy as np
import pytest

from sim import Plan, Study, run
from sim.core.streams import Streams
from sim.logistics import quantile, ratio
from tests.montecarlo import assert_mc, assert_share
from tests.operations.test_in_the_trial import CLINIC, STUDY, THERAPY

PRICES = (
    "scenarios.expected.costs={fixed: {assume: 1000, because: t}, per_patient: {assume: 100, because: t}, "
    "per_session: {assume: 10, because: t}, per_kit: {assume: 5, because: t}}"
)
SUPPLY = "{arms: [placebo], weeks_a_kit: 4, stock: 20, reorder_at: 5}"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    operations = f"{{kind: sites, sites: 10, max_weeks: 900, clinics: [{CLINIC % 2}], supply: {SUPPLY}}}"
    changes = (
        *THERAPY,
        PRICES,
        f"protocols.two_arm.operations={operations}",
        "protocols.two_arm.sizes=[100]",
        "scenarios.expected.conditions={delivery: {assume: 2, because: t}}",
        "replicates=128",
    )
    study = Study.load(STUDY, changes)
    study = study.model_copy(update={"scenarios": {"expected": study.scenarios["expected"]}})
    return run(study, Plan(workers=1), tmp_path_factory.mktemp("run") / "out")


@pytest.fixture(scope="module")
def found(results):
    rows = results.characteristics.query("scenario == 'expected'").fillna({"arm": "", "estimand": ""})
    return rows.set_index(["metric", "n", "arm"])["value"].sort_index()


def test_costs_of_the_arms_and_of_the_trial_add_up(found):
    for n in (100, 300):
        arms = found["cost", n, "placebo"] + found["cost", n, "therapy"]
        assert found["cost", n, ""] == pytest.approx(1000 + arms)
        assert found["cost_q05", n, ""] < found["cost_q50", n, ""] < found["cost_q95", n, ""]
    assert found["cost", 300, "therapy"] > found["cost", 300, "placebo"]


def test_a_success_costs_all_trials_by_those_that_succeed(found, results):
    trials = results.records("two_arm", "expected", "trials").query("n == 100")
    estimates = results.records("two_arm", "expected").query("n == 100 and estimand == 'primary'")
    expected = trials["cost"].sum() / estimates["success"].sum()
    assert 0 < estimates["success"].mean() < 1
    assert found["cost_per_success", 100, "therapy"] == pytest.approx(expected)


def test_waiting_and_kits_are_told_by_arm(found):
    assert found["waiting_weeks", 300, "therapy"] > 1
    assert 0 < found["delayed", 300, "placebo"] < 0.5
    assert found["gap_weeks", 300, "therapy"] == 0
    assert found["gap_weeks", 300, "placebo"] > 0
    shipped, wasted = found["kits_shipped", 300, ""], found["kits_wasted", 300, ""]
    taken = shipped - wasted
    assert 0 < wasted <= 10 * 20  # at most the shelves of ten sites are full at the end
    assert taken == pytest.approx(150 * 3, rel=0.05)  # 12 weeks of treatment in kits of four


def test_kits_are_told_for_the_whole_trial_only(found):
    assert "kits_shipped" in found.index
    assert ("kits_shipped", 100, "") not in found.index


def test_the_error_of_a_ratio_is_its_spread():
    stream = Streams(1, 0)("ratio")
    above = 5 + stream.standard_normal((2000, 200))
    below = np.where(stream.random((2000, 200)) < 0.6, 1.0, 0.0)
    found = [ratio(a, b) for a, b in zip(above, below, strict=True)]
    values, errors = (np.array([getattr(f, name) for f in found]) for name in ("value", "mcse"))
    spread = float(values.std(ddof=1))
    assert_mc(float(errors.mean()), spread, spread / np.sqrt(2 * 2000), detects=0.15 * spread)


@pytest.mark.parametrize("level", [0.05, 0.5])
def test_the_error_of_a_quantile_is_its_spread(level):
    values = Streams(1, 0)("quantile").standard_exponential((2000, 400))
    found = [quantile(row, level) for row in values]
    spread = np.sqrt(level / (1 - level) / 400)  # sqrt(p (1 − p) / n) over the density 1 − p
    assert_share(np.array([f.value for f in found]) < -np.log1p(-level), 0.5, detects=0.1)
    assert float(np.mean([f.mcse for f in found])) == pytest.approx(spread, rel=0.08)
