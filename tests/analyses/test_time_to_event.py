"""Cox, log-rank and win ratio against statsmodels, scipy and hand counts."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.duration.survfunc import survdiff

from sim.analyses.cox import Cox
from sim.analyses.data_set import Covariate, DataSet
from sim.analyses.log_rank import LogRank, one_step
from sim.analyses.survival import Times, fit_cox, log_rank
from sim.analyses.win_ratio import WinRatio, summarise_pairs
from sim.core.errors import InputError, RunError
from sim.priority import Level, compare_pairs
from tests.analyses.blocks import MEAN, block, observe, single
from tests.analyses.test_one_visit import data_set
from tests.montecarlo import assert_mean

NEAR = {"rtol": 1e-8, "atol": 1e-10}


def followed(n: int = 80, replicates: int = 5, ties: bool = True) -> tuple[Times, np.ndarray, np.ndarray]:
    """Times with many ties, censoring, a few missing; an arm and a covariate."""
    rng = np.random.default_rng(11)
    arm = (np.arange(n)[:, None] % 2) * np.ones((n, replicates))
    x = rng.normal(size=(n, replicates))
    time = rng.exponential(6 * np.exp(-0.5 * arm + 0.4 * x))
    time = np.ceil(time) if ties else time
    censored = rng.uniform(2, 14, (n, replicates))
    event = (time <= censored).astype(float)
    time = np.where(event == 1, time, np.ceil(censored) if ties else censored)
    time[rng.random(time.shape) < 0.05] = np.nan
    return Times(time, event, rng.integers(0, 3, time.shape)), arm, x


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("stratified", [True, False])
def test_cox_equals_statsmodels(ties, stratified):
    times, arm, x = followed(ties=ties)
    if not stratified:
        times = replace(times, stratum=np.zeros_like(times.stratum))
    found = fit_cox(times, (arm, x))
    for r in range(5):
        used = ~np.isnan(times.time[:, r])
        design = np.column_stack([arm[:, r], x[:, r]])[used]
        model = sm.PHReg(
            times.time[used, r],
            design,
            status=times.event[used, r],
            strata=times.stratum[used, r],
            ties="efron",
        )
        fitted = model.fit(disp=0, method="newton", tol=1e-13, maxiter=200)
        np.testing.assert_allclose(found.coefficients[r], fitted.params, rtol=1e-6, atol=1e-8)
        # statsmodels stops by its own limit: at our estimate its score is zero and its information ours
        np.testing.assert_allclose(model.score(found.coefficients[r]), 0, atol=1e-6)
        variance = np.linalg.inv(-model.hessian(found.coefficients[r]))
        np.testing.assert_allclose(found.variance[r], variance, **NEAR)


@pytest.mark.parametrize("stratified", [True, False])
def test_log_rank_equals_statsmodels(stratified):
    times, arm, _ = followed()
    if not stratified:
        times = replace(times, stratum=np.zeros_like(times.stratum))
    excess, variance, _ = log_rank(times, arm == 1)
    for r in range(5):
        used = ~np.isnan(times.time[:, r])
        strata = times.stratum[used, r] if stratified else None
        chi2, _ = survdiff(times.time[used, r], times.event[used, r], arm[used, r], strata=strata)
        assert excess[r] ** 2 / variance[r] == pytest.approx(chi2, rel=1e-8)


def test_log_rank_by_hand():
    """Treated 3, 5+, 7; control 2, 3, 6: at risk and expected written out time by time."""
    time = np.array([3, 5, 7, 2, 3, 6.0])[:, None]
    event = np.array([1, 0, 1, 1, 1, 1.0])[:, None]
    treated = np.array([True, True, True, False, False, False])[:, None]
    excess, variance, _ = log_rank(Times(time, event, np.zeros((6, 1), dtype=int)), treated)
    # week 2: 6 at risk, 3 treated, 1 event; week 3: 5, 3, 2 events; week 6: 2, 1, 1; week 7: 1, 1, 1
    expected = 3 / 6 + 2 * 3 / 5 + 1 / 2 + 1
    assert excess.item() == pytest.approx(2 - expected)
    assert variance.item() == pytest.approx(1 / 4 + 2 * (3 / 5) * (2 / 5) * (3 / 4) + 1 / 4)


def test_one_step_of_grouped_times_is_near_cox_and_z_is_the_log_rank_statistic():
    """2,000 replicates of 600 times seen every fourth week: half of those at risk respond in between."""
    rng = np.random.default_rng(12)
    arm = (np.arange(600)[:, None] % 2) * np.ones((600, 2000))
    week = 4 * np.ceil(rng.exponential(5.8 * np.exp(-0.2 * arm)) / 4)
    times = Times(np.minimum(week, 12), (week <= 12).astype(float), np.zeros(arm.shape, dtype=int))
    sums = np.stack(log_rank(times, arm == 1))
    ratio, error = one_step(sums)
    np.testing.assert_allclose(ratio / error, sums[0] / np.sqrt(sums[1]))
    assert_mean(ratio - 0.2, 0.0, detects=0.02)
    assert abs(np.mean(sums[0] / sums[1]) - 0.2) > 0.05, "divided by its variance it is a log odds ratio"
    covered = np.abs(ratio - 0.2) < 1.96 * error
    assert_mean(covered.astype(float), 0.95, detects=0.045)


def test_without_ties_one_step_is_petos():
    times, arm, _ = followed(ties=False)
    sums = np.stack(log_rank(times, arm == 1))
    np.testing.assert_array_equal(sums[1], sums[2])
    np.testing.assert_allclose(one_step(sums)[0], sums[0] / sums[1])


def test_a_sample_size_is_a_cut_and_an_arm_without_event_has_no_estimate():
    times, arm, x = followed()
    small = fit_cox(times.first(50), (arm[:50], x[:50]))
    event = times.event.copy()
    event[50:] = 1.0
    again = fit_cox(Times(times.time[:50], event[:50], times.stratum[:50]), (arm[:50], x[:50]))
    np.testing.assert_array_equal(small.coefficients, again.coefficients)
    none = replace(times, event=times.event * np.where(arm == 1, np.arange(5) != 2, 1))
    found = fit_cox(none, (arm, x))
    assert np.isnan(found.coefficients[2]).all()
    assert np.isfinite(np.delete(found.coefficients, 2, axis=0)).all()


def test_the_hazard_ratio_is_found():
    """2,000 replicates of 200 exponential times with a hazard ratio of 2: mean and coverage."""
    rng = np.random.default_rng(8)
    arm = (np.arange(200)[:, None] % 2) * np.ones((200, 2000))
    time = rng.exponential(1 / (0.1 * 2**arm))
    times = Times(np.minimum(time, 12), (time <= 12).astype(float), np.zeros(arm.shape, dtype=int))
    found = fit_cox(times, (arm,))
    beta, se = found.coefficients[:, 0], np.sqrt(found.variance[:, 0, 0])
    assert_mean(beta - np.log(2), 0.0, detects=0.04)
    assert_mean((np.abs(beta - np.log(2)) < 1.96 * se).astype(float), 0.95, detects=0.045)


def test_the_log_rank_statistic_is_standard_normal_without_an_effect():
    """4,000 replicates of 100 exponential times in arms alike: mean, variance and tail of z."""
    rng = np.random.default_rng(9)
    time = rng.exponential(10, (100, 4000))
    times = Times(np.minimum(time, 12), (time <= 12).astype(float), np.zeros(time.shape, dtype=int))
    excess, variance, _ = log_rank(times, np.arange(100)[:, None] % 2 == np.ones((1, 4000)))
    z = excess / np.sqrt(variance)
    assert_mean(z, 0.0, detects=0.13)
    assert_mean(z**2, 1.0, detects=0.19)


def timed() -> DataSet:
    times, arm, x = followed()
    baseline = Covariate("pain_0", (x[:, :1] + 5))
    return DataSet(
        ("placebo", "drug"),
        ("all",),
        arm[:, 0].astype(int),
        times.time[:, :1],
        baseline,
        event=times.event[:, :1],
    )


def test_real_times_are_tabulated():
    times, arm, x = followed()
    whole = replace(times, stratum=np.zeros_like(times.stratum))
    expected = fit_cox(whole, (arm, x))
    result = Cox(estimand="x", adjust=True).analyse(timed())
    (row,) = result.estimates
    assert row.name == "log_hazard_ratio[drug - placebo, all]"
    assert row.estimate == pytest.approx(expected.coefficients[0, 0], rel=1e-9)
    assert row.se == pytest.approx(np.sqrt(expected.variance[0, 0, 0]), rel=1e-9)
    assert [each.name for each in result.coefficients] == ["arm[drug], all", "pain_0, all"]
    (row,) = LogRank(estimand="x", cuts=(5,)).analyse(timed()).estimates
    excess, variance, _ = log_rank(replace(whole, stratum=(x >= 0).astype(int)), arm == 1)
    assert row.statistic == pytest.approx(excess[0] / np.sqrt(variance[0]))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"event": None}, "columns.event: required"),
        ({"event": np.full((80, 1), 2.0)}, "2 is not allowed; allowed: 1 for an event"),
        ({"value": np.full((80, 1), -1.0)}, "-1 is no time"),
        ({"baseline": None}, "columns.baseline: required by 'cuts'"),
    ],
)
def test_times_that_cannot_be(change, problem):
    for analysis in (Cox(estimand="x", cuts=(5,)), LogRank(estimand="x", cuts=(5,))):
        with pytest.raises(InputError, match=problem):
            analysis.analyse(replace(timed(), **change))


def test_cox_without_events_is_an_error_on_real_data():
    with pytest.raises(RunError, match="no finite estimate"):
        Cox(estimand="x").analyse(replace(timed(), event=np.zeros((80, 1))))


def test_net_benefit_of_one_outcome_is_mann_whitney_and_its_error_brunner_and_munzel():
    data = block(missing=False)
    found = WinRatio(estimand="x", levels=(Level(outcome="value"),), measure="net_benefit").estimate(
        observe(data)
    )
    odds = WinRatio(estimand="x", levels=(Level(outcome="value"),), measure="win_odds").estimate(
        observe(data)
    )
    for at, size in enumerate(data.sizes):
        for replicate in range(6):
            one = single(data, size, replicate)
            y, arm = one.score[:, 0, 2], one.arm[:, 0]
            for place in (0, 1):
                treated, control = y[arm == place + 1], y[arm == 0]
                u = stats.mannwhitneyu(treated, control).statistic
                better = 1 - u / (len(treated) * len(control))
                cell = (place, at, replicate)
                assert found.estimate[cell] == pytest.approx(2 * better - 1, abs=1e-12)
                statistic = stats.brunnermunzel(treated, control).statistic
                # P(treated < control) less one half over its standard error, its sign that of scipy's order
                assert found.estimate[cell] / found.se[cell] == pytest.approx(statistic, rel=1e-8)
                assert odds.estimate[cell] == pytest.approx(np.log(better / (1 - better)))


def test_wins_by_hand():
    """Two treated, three controls: stopping first, then pain with a margin of 1, a missing pain ties."""
    treated = [np.array([np.inf, 5.0]), np.array([-3.0, -2.0])]
    control = [np.array([np.inf, 5.0, 8.0]), np.array([-4.5, -2.5, np.nan])]
    wins, losses = compare_pairs(treated, control, [0.0, 1.0])
    np.testing.assert_array_equal(wins, [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(losses, [[0, 0, 0], [1, 0, 1]])
    estimate, se = summarise_pairs(wins, losses, "win_ratio")
    assert estimate == pytest.approx(np.log(3 / 2))
    # scores 2 × win − 3 × loss: rows 2 and −2, columns −0.5, 1, −0.5
    assert se == pytest.approx(np.sqrt(8 / 2 + 0.75 / 3))
    assert np.isnan(summarise_pairs(wins, 0 * losses, "win_ratio")).all()


def test_the_error_of_the_win_ratio_is_that_of_its_repetition():
    """1,500 trials of 120 patients: the mean squared standard error is the variance of the estimate."""
    data = block(n=120, replicates=1500, sizes=(120,))
    data = replace(data, stopped=np.where(np.isnan(data.score[:, :, 2]), 4.0, np.inf))
    for measure in ("win_ratio", "win_odds", "net_benefit"):
        levels = (Level(outcome="time_on_treatment"), Level(outcome="value", margin=0.5))
        found = WinRatio(estimand="x", levels=levels, measure=measure).estimate(observe(data))
        estimate, se = found.estimate[0, 0], found.se[0, 0]
        spread = (estimate - estimate.mean()) ** 2 / np.mean(se**2)
        assert_mean(spread, 1.0, detects=0.3)


def test_real_pairs_are_named_by_their_measure():
    one = single(block(missing=False), 90, 1)
    stopped = np.where(np.arange(90) % 5 == 0, 3.0, np.inf)
    data = replace(data_set(one, MEAN), stopped=stopped, report=(2,))
    names = [row.name for row in WinRatio(estimand="x").analyse(data).estimates]
    assert names == ["log_win_ratio[b - a, w12]", "log_win_ratio[c - a, w12]"]
    net = WinRatio(estimand="x", measure="net_benefit")
    names = [row.name for row in net.analyse(data).estimates]
    assert names[0] == "net_benefit[b - a, w12]"
