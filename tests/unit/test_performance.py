import numpy as np
import pytest

from sim.claims import Draws
from sim.core.streams import Streams
from sim.performance import _estimand, accuracy, average, interval, losses, one_truth, proportion
from sim.records import tabulate
from sim.treatments import ReportedLoss
from sim.trial import simulate


def test_proportions_and_means_carry_their_errors():
    hits = np.array([True] * 30 + [False] * 70)
    assert proportion(hits).value == 0.3
    assert proportion(hits).mcse == pytest.approx(np.sqrt(0.3 * 0.7 / 100))
    values = np.array([1.0, 2.0, np.nan, 6.0])
    assert average(values).value == 3
    assert average(values).mcse == pytest.approx(np.std([1, 2, 6], ddof=1) / np.sqrt(3))


def test_accuracy_is_that_of_morris_white_and_crowther():
    rng = np.random.default_rng(1)
    estimate, truth = rng.normal(1.1, 0.5, 400), np.full(400, 1.0)
    measures = accuracy(estimate, np.full(400, 0.5), (estimate - 0.98, estimate + 0.98), truth)
    assert measures["bias"].value == pytest.approx(estimate.mean() - 1)
    assert measures["bias"].mcse == pytest.approx(estimate.std(ddof=1) / 20)
    assert measures["empirical_se"].mcse == pytest.approx(estimate.std(ddof=1) / np.sqrt(2 * 399))
    assert measures["rmse"].value == pytest.approx(np.sqrt(np.mean((estimate - 1) ** 2)))
    covered = np.mean(abs(estimate - 1) <= 0.98)
    assert measures["coverage"].value == pytest.approx(covered)


def test_the_error_of_rmse_is_what_repetition_shows():
    rng = np.random.default_rng(2)
    repeated = [
        accuracy(e, np.ones(200), (e - 1, e + 1), np.zeros(200))["rmse"]
        for e in rng.normal(0.3, 1, (2000, 200))
    ]
    spread = np.std([m.value for m in repeated], ddof=1)
    assert np.mean([m.mcse for m in repeated]) == pytest.approx(spread, rel=0.08)


@pytest.mark.parametrize("known", [4, 100])
def test_one_truth_stands_for_all_replicates_with_its_error(known):
    computed = np.full(100, np.nan)
    computed[:known] = np.resize([0.9, 1.0, 1.1, 1.0], known)
    truth, error = one_truth(computed)
    assert truth == pytest.approx(1.0)
    assert error == pytest.approx(np.std(computed[:known], ddof=1) / np.sqrt(known))


def test_a_ratio_without_a_finite_logarithm_has_no_truth_and_the_table_says_how_often(two_arm):
    """Nobody becomes free of pain in the control arm of two replicates: log 0."""
    computed = np.array([0.3, -np.inf, 0.5, np.inf, np.nan, np.nan])
    assert np.isnan(one_truth(computed)[0]).all()
    look, scenario = two_arm.protocols["small"].looks[1], two_arm.scenarios["expected"]
    half = np.full(6, 0.5)
    rows = {"estimate": half, "se": half, "low": 0 * half, "high": 2 * half, "truth": computed}
    rows |= {"success": half > 0, "replicate": np.arange(6)}
    found = {row.metric: row.value for row in _estimand(look, "active", 80, scenario, rows)}
    assert found == {"power": 1.0, "failed": 0.0, "truth_undefined": 0.5}
    drawn = {row.metric: row.value for row in _estimand(look, "active", 80, two_arm.scenarios["drawn"], rows)}
    assert drawn["truth"] == pytest.approx(0.4)
    assert drawn["bias"] == pytest.approx(0.1)


def test_the_spread_of_the_truths_is_no_error():
    truth = np.linspace(-2, 2, 101)
    noise = np.random.default_rng(3).normal(0, 0.1, 101)
    found = accuracy(truth + noise, np.full(101, 0.1), (truth - 1, truth + 1), truth)
    assert found["empirical_se"].value == pytest.approx(noise.std(ddof=1))


def test_failed_estimates_are_left_out_and_nothing_is_made_up():
    nothing = np.full(5, np.nan)
    assert accuracy(nothing, nothing, (nothing, nothing), np.ones(5)) == {}
    assert accuracy(np.ones(5), np.ones(5), (np.zeros(5), np.ones(5)), nothing) == {}


def test_a_predictive_interval_is_the_central_95_percent():
    found = interval(np.arange(1001.0))
    assert (found["low"], found["mean"], found["high"]) == (25, 500, 975)


def test_losses_are_counted_by_reason_and_laid_beside_what_is_reported(two_arm):
    protocol, scenario = two_arm.protocols["small"], two_arm.scenarios["expected"]
    told = ReportedLoss.model_validate(
        {"reason": "adverse_event", "share": {"value": 0.1, "source": "some"}, "weeks": 13}
    )
    drug = scenario.treatments["drug"].model_copy(update={"reported_losses": (told,)})
    scenario = scenario.model_copy(update={"treatments": {**scenario.treatments, "drug": drug}})
    record = simulate(protocol, scenario, Draws(Streams(3, 0), {}))
    rows = list(losses(protocol, scenario, tabulate(protocol, record, 0, {}).arms))
    found = {(row["arm"], row["reason"], row["week"]): row for row in rows}
    assert len(found) == 2 * 3 * 4
    mine = record.data.arm == 1
    left = (mine & (record.events.leave < 12)).sum(axis=0) / mine.sum(axis=0)
    assert found["active", "any", 12]["share"] == pytest.approx(left.mean())
    beside = [key for key, row in found.items() if not np.isnan(row["reported"])]
    assert beside == [("active", "adverse_event", 12)]
    assert found[beside[0]]["reported"] == 0.1
    null = list(losses(protocol, two_arm.scenarios["null"], tabulate(protocol, record, 0, {}).arms))
    assert all(np.isnan(row["reported"]) for row in null)
