"""The mixed model against a plain twin, against ANCOVA where both must agree, and in what it promises."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import stdtr

from sim.analyses.ancova import Ancova
from sim.analyses.clda import Clda
from sim.analyses.covariance import CHOLESKY, STRUCTURES
from sim.analyses.likelihood import Model, evaluate
from sim.analyses.mmrm import Mmrm
from sim.analyses.moments import Measurements, summarise
from sim.analyses.reml import fit
from sim.analyses.small_sample import contrasts
from tests.analyses.blocks import MEAN, block, design, observe, single
from tests.analyses.plain_reml import Plain
from tests.analyses.test_one_visit import data_set
from tests.montecarlo import assert_share

LAST = np.array([0.0, 0.0, 1.0])


@pytest.mark.parametrize(("size", "replicate"), [(30, 0), (45, 3)])
def test_estimate_error_and_df_equal_the_plain_twin(size, replicate):
    data = block(n=45, sizes=(30, 45))
    found = Mmrm(estimand="primary").estimate(observe(data))
    alone = single(data, size, replicate)
    plain = Plain(design(alone), alone.score[:, 0])
    covariance = plain.fit()
    beta, variance, _ = plain.pieces(covariance)
    at = data.sizes.index(size)
    for place, arm in enumerate((1, 2)):
        weights = np.kron(np.eye(4)[arm], LAST)
        assert found.estimate[place, at, replicate] == pytest.approx(weights @ beta, rel=1e-5)
        assert found.se[place, at, replicate] == pytest.approx(
            np.sqrt(weights @ variance @ weights), rel=1e-5
        )
        assert found.df[place, at, replicate] == pytest.approx(
            plain.satterthwaite(covariance, weights), rel=1e-4
        )


def test_a_handful_of_patients_is_fitted_too():
    """Of 15 patients, 5 an arm, effects take away much of the information: full Newton steps are needed.

    To 1e-4, as the likelihood is so flat that the twin stops there."""
    data = block(n=24, replicates=128, sizes=(15,))
    found = Mmrm(estimand="primary").estimate(observe(data))
    assert np.isfinite(found.estimate).mean() > 0.99
    for replicate in (57, 113):
        alone = single(data, 15, replicate)
        plain = Plain(design(alone), alone.score[:, 0])
        beta, variance, _ = plain.pieces(plain.fit())
        weights = np.kron(np.eye(4)[1], LAST)
        assert found.estimate[0, 0, replicate] == pytest.approx(weights @ beta, rel=1e-4)
        assert found.se[0, 0, replicate] == pytest.approx(np.sqrt(weights @ variance @ weights), rel=1e-4)


def test_constrained_analysis_equals_the_plain_twin():
    data = block(n=36, sizes=(36,))
    found = Clda(estimand="primary").estimate(observe(data))
    alone = single(data, 36, 4)
    whole = np.column_stack([alone.baseline[:, 0], alone.score[:, 0]])
    kept = np.array([0, 1, 2, 3, 5, 6, 7, 9, 10, 11])
    plain = Plain(design(alone)[:, :3], whole, kept)
    covariance = plain.fit()
    beta, variance, _ = plain.pieces(covariance)
    for place, position in enumerate((6, 9)):
        weights = np.eye(10)[position]
        assert found.estimate[place, 0, 4] == pytest.approx(beta[position], rel=1e-5)
        assert found.se[place, 0, 4] == pytest.approx(np.sqrt(variance[position, position]), rel=1e-5)
        assert found.df[place, 0, 4] == pytest.approx(plain.satterthwaite(covariance, weights), rel=1e-4)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward_roger", "between_within", "residual", "normal"])
@pytest.mark.parametrize("errors", ["model", "empirical"])
def test_batched_equals_one_by_one(df, errors):
    data = block()
    analysis = Mmrm(estimand="primary", df=df, errors=errors)
    together = analysis.estimate(observe(data))
    for at, size in enumerate(data.sizes):
        for replicate in range(6):
            alone = analysis.estimate(observe(single(data, size, replicate)))
            for name in ("estimate", "se", "df", "low", "high", "n"):
                expected = getattr(alone, name)[:, 0, 0]
                np.testing.assert_allclose(getattr(together, name)[:, at, replicate], expected, 1e-6, 1e-7)


def test_complete_data_give_the_ancova_of_the_visit():
    """With nothing missing, least squares by visit is optimal (Zellner 1962)."""
    observed = observe(block(missing=False))
    mixed, ancova = Mmrm(estimand="primary").estimate(observed), Ancova(estimand="primary").estimate(observed)
    for name in ("estimate", "se", "df", "low", "high"):
        np.testing.assert_allclose(getattr(mixed, name), getattr(ancova, name), rtol=1e-7)
    kenward = Mmrm(estimand="primary", df="kenward_roger_linear").estimate(observed)
    np.testing.assert_allclose(kenward.se, ancova.se, rtol=1e-7)


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=lambda each: each.name)
def test_structures_are_fitted_to_their_maximum(structure):
    """No neighbour of the fitted parameters has a larger likelihood, and slopes equal differences."""
    data = block(replicates=3)
    columns = tuple(np.stack([design(single(data, 90, r)) for r in range(3)], axis=1).transpose(2, 0, 1))
    moments = summarise(Measurements(columns, data.score))
    model = Model(structure)
    found = fit(moments, model)
    assert found.converged.all()
    for direction in np.eye(found.theta.shape[1]):
        for step in (-1e-2, 1e-2):
            moved = found.theta * (1 + step * direction)
            deviance = evaluate(moments, structure.matrix(moved, 3), model).deviance
            assert (deviance > found.state.deviance).all()
        ahead, behind = (structure.matrix(found.theta + h * direction, 3) for h in (1e-6, -1e-6))
        slopes = structure.slopes(found.theta, 3) @ direction
        np.testing.assert_allclose(
            np.broadcast_to(slopes, (3, 9)), ((ahead - behind) / 2e-6).reshape(3, 9), atol=1e-7
        )


@pytest.mark.parametrize("visits", [1, 2, 5])
def test_second_derivatives_of_the_cholesky_form_are_those_of_differences(visits):
    theta = 0.5 * np.random.default_rng(7).standard_normal((4, visits * (visits + 1) // 2))
    closed = CHOLESKY.curvature(theta, visits)
    by_differences = replace(CHOLESKY, second=None).curvature(theta, visits)
    np.testing.assert_allclose(closed, by_differences, atol=2e-8)
    assert (np.abs(closed) > 0.1).any()


def test_structures_nest():
    data = block(replicates=3)
    columns = tuple(np.stack([design(single(data, 90, r)) for r in range(3)], axis=1).transpose(2, 0, 1))
    moments = summarise(Measurements(columns, data.score))
    likelihood = {name: fit(moments, Model(each)).log_likelihood for name, each in STRUCTURES.items()}
    for smaller, larger in (
        ("compound_symmetry", "toeplitz"),
        ("ar1", "toeplitz"),
        ("toeplitz", "heterogeneous_toeplitz"),
        ("heterogeneous_ar1", "heterogeneous_toeplitz"),
        ("heterogeneous_toeplitz", "unstructured"),
    ):
        assert (likelihood[smaller] < likelihood[larger]).all()


def test_failed_fits_are_nan_and_leave_the_others_alone():
    data = block()
    broken = data.score.copy()
    broken[data.arm[:, 2] == 1, 2, 2] = np.nan
    whole = Mmrm(estimand="primary").estimate(observe(data))
    found = Mmrm(estimand="primary").estimate(observe(replace(data, score=broken)))
    assert np.isnan(found.estimate[:, :, 2]).all()
    assert np.isnan(found.se[:, :, 2]).all()
    others = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(found.estimate[:, :, others], whole.estimate[:, :, others], rtol=1e-9)


def test_missing_at_random_keeps_the_type_one_error():
    """24,000 null trials of 90 with dropout that depends on the last score: 0.05 to within 0.012."""
    rng = np.random.default_rng(4)
    n, replicates = 90, 24_000
    shape = (n, replicates)
    arm = np.broadcast_to((np.arange(n) % 2)[:, None], shape).astype(float)
    baseline = rng.normal(0, 1, shape).astype(np.float64)
    score = 0.6 * baseline[:, :, None] + rng.normal(0, 0.7, (*shape, 1)) + rng.normal(0, 0.7, (*shape, 2))
    score[:, :, 1][rng.random(shape) < 1 / (1 + np.exp(1.5 - score[:, :, 0]))] = np.nan
    moments = summarise(Measurements((np.ones(shape), arm, baseline), score))
    found = contrasts(fit(moments), np.array([[0, 0, 0, 1.0, 0, 0]]))
    p = 2 * stdtr(found.df[0], -np.abs(found.estimate[0] / found.se[0]))
    assert_share(p < 0.05, 0.05, detects=0.012)


def test_options_are_understood_by_their_short_names():
    assert Mmrm(estimand="primary", covariance="AR1H", df="Kenward-Roger").covariance == "heterogeneous_ar1"
    assert Mmrm(estimand="primary", covariance="us", df="Kenward-Roger").df == "kenward_roger"


@pytest.mark.parametrize("df", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("covariance", ["unstructured", "toeplitz", "ar1", "compound_symmetry"])
@pytest.mark.parametrize("by_visit", [True, False])
def test_a_simulated_trial_and_a_real_one_are_fitted_alike(covariance, df, by_visit):
    data = block(replicates=2, sizes=(60, 90))
    analysis = Mmrm(estimand="x", covariance=covariance, df=df, baseline_by_visit=by_visit)
    found = analysis.estimate(observe(data))
    assert np.isfinite(found.df).all()
    rows = {row.name: row for row in analysis.analyse(data_set(single(data, 90, 1), MEAN)).estimates}
    for place, arm in enumerate("bc"):
        row = rows[f"difference[{arm} - a, w12]"]
        for name in ("estimate", "se", "df"):
            assert getattr(row, name) == pytest.approx(getattr(found, name)[place, 1, 1], rel=1e-5)
