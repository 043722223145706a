"""Priors of a control arm against brute-force integration and their own definition."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, log_expit, logsumexp

from sim.cli import app as command
from sim.core.errors import InputError
from sim.core.loading import load
from sim.evidence import load_evidence
from sim.mixtures import BetaMixture, NormalMixture, from_json
from sim.mixtures.conflict import conflict_of_count, conflict_of_mean
from sim.synthesis import Store, Synthesis
from sim.synthesis.binomial_hierarchy import BinomialHierarchy
from sim.synthesis.control_arms import read_control_arms
from sim.synthesis.hierarchy import HeterogeneityPrior, MeanPrior, TauGrid, quantile_of
from sim.synthesis.normal_hierarchy import NormalHierarchy
from tests.montecarlo import assert_share

CONFIG = """
kind: map
name: arms
data: arms.csv
mean: {mean: 0, sd: 2, because: "weak"}
heterogeneity: {kind: half_normal, scale: 1, because: "weak"}
"""
COUNTS = "study,n,r\na,50,12\nb,40,4\nc,81,33\n"


def prior(kind: str, scale: float) -> HeterogeneityPrior:
    return HeterogeneityPrior(kind=kind, scale=scale, because="for the test")


@pytest.mark.parametrize("kind", ["half_normal", "half_cauchy", "exponential"])
def test_heterogeneity_priors_are_densities(kind: str) -> None:
    twins = {"half_normal": stats.halfnorm, "half_cauchy": stats.halfcauchy, "exponential": stats.expon}
    twin, density = twins[kind](scale=0.7), prior(kind, 0.7)
    tau = np.array([0.0, 0.2, 1.0, 5.0])
    np.testing.assert_allclose(density.log_density(tau), twin.logpdf(tau), rtol=1e-12)
    grid = TauGrid.of(density)
    weights = np.exp(grid.log_weight + density.log_density(grid.tau))
    assert weights.sum() == pytest.approx(1, rel=1e-10)
    assert weights[grid.tau < 0.5].sum() == pytest.approx(twin.cdf(0.5), abs=0.02)


def brute_log_likelihood(r: float, n: float, mu: float, tau: float) -> float:
    """The study's marginal likelihood as a plain sum over 200,001 deviations."""
    z = np.linspace(-40, 40, 200_001)
    theta = mu + tau * z
    logs = stats.norm.logpdf(z) + r * log_expit(theta) + (n - r) * log_expit(-theta) + np.log(z[1] - z[0])
    return float(logsumexp(logs)) + stats.binom.logpmf(r, n, 0.5) + n * np.log(2)


@pytest.mark.parametrize(("tau", "near"), [(1e-4, 1e-8), (0.3, 1e-8), (1.0, 1e-6), (4.0, 5e-4)])
@pytest.mark.parametrize("mu", [-3.0, 0.2, 5.0])
def test_study_likelihood_by_brute_force(tau: float, near: float, mu: float) -> None:
    """No, some and all responders; far from the mean, the search for the mode needs its bracket.

    Gauss–Hermite is least exact where a study without (other) responders meets a huge spread between studies.
    """
    for r, n in ((0, 20), (12, 50), (81, 81), (300, 1000)):
        model = BinomialHierarchy(
            np.array([float(r)]), np.array([float(n)]), MeanPrior(0, 2), prior("half_normal", 1)
        )
        found = float(model.log_likelihood(np.array(mu), np.array(tau)))
        assert found == pytest.approx(brute_log_likelihood(r, n, mu, tau), abs=near, rel=1e-7), (r, n)


def brute_given_tau(r: np.ndarray, n: np.ndarray, mu: np.ndarray, tau: float) -> np.ndarray:
    """Likelihood of all studies at each ``mu`` as a sum over logits, or over deviations where τ is small."""
    if tau < 0.05:
        z = np.linspace(-8, 8, 81)
        theta, weight = mu[:, None] + tau * z, np.broadcast_to(stats.norm.pdf(z) * 0.2, (len(mu), 81))
    else:
        theta = np.linspace(-16, 16, 1601)
        weight = np.exp(-0.5 * ((theta - mu[:, None]) / tau) ** 2) * 0.02 / tau / np.sqrt(2 * np.pi)
    terms = (
        np.exp(a * log_expit(theta) + (b - a) * log_expit(-theta) + b * np.log(2))
        for a, b in zip(r, n, strict=True)
    )
    sums = [weight @ term if term.ndim == 1 else (weight * term).sum(axis=1) for term in terms]
    return np.prod(sums, axis=0)


@pytest.mark.parametrize(
    ("r", "n", "heterogeneity"),
    [
        ([12, 4, 33], [50, 40, 81], prior("half_normal", 1)),
        ([0, 1, 0, 0], [20, 25, 18, 30], prior("half_normal", 0.5)),
        ([300, 500], [1000, 1000], prior("half_cauchy", 0.3)),
    ],
)
def test_binomial_prior_by_brute_force(r, n, heterogeneity) -> None:
    """Plain sums over τ and μ: few and no responders, large studies, a heavy tail."""
    r, n, mean = np.array(r, dtype=float), np.array(n, dtype=float), MeanPrior(-0.5, 1.5)
    fitted = BinomialHierarchy(r, n, mean, heterogeneity).fit()
    at = quantile_of(fitted.new_cdf, 0.9)
    knots = np.linspace(-5, 5, 161)
    mu = fitted.population_moments()[0] + 0.2 * np.sinh(knots)
    z = np.linspace(-6, 6, 61)
    share = (np.arange(150) + 0.5) / 150
    sums = np.zeros(5)
    for tau, slope in zip(0.5 * share / (1 - share), 0.5 / (1 - share) ** 2, strict=True):
        joint = brute_given_tau(r, n, mu, tau) * np.cosh(knots) * slope
        joint *= np.exp(mean.log_density(mu) + heterogeneity.log_density(np.array(tau)))
        p = expit(mu[:, None] + tau * z) - fitted.new_moments()[0]
        density = stats.norm.pdf(z) * 0.2
        below = stats.norm.cdf((at - mu) / tau)
        sums += [
            joint.sum(),
            tau * joint.sum(),
            joint @ (p @ density),
            joint @ (p**2 @ density),
            joint @ below,
        ]
    tau_mean, off, squared, below = sums[1:] / sums[0]
    sd = fitted.new_moments()[1]
    assert abs(off) < 1e-4 * sd
    assert sd == pytest.approx(np.sqrt(squared), rel=1e-4)
    assert fitted.tau.mean() == pytest.approx(tau_mean, rel=1e-3)
    assert below == pytest.approx(0.9, abs=1e-4)


def test_normal_prior_by_brute_force() -> None:
    y, se = np.array([-50.0, -42, -35, -61]), np.array([8.0, 5, 10, 14])
    fitted = NormalHierarchy(y, se, MeanPrior(-20, 30), prior("half_cauchy", 12)).fit()
    mu, share = np.linspace(-200, 110, 1241), (np.arange(1200) + 0.5) / 1200
    tau, slope = 12 * share / (1 - share), 12 / (1 - share) ** 2 / 1200
    cells = stats.halfcauchy.pdf(tau, scale=12)[:, None] * slope[:, None] * stats.norm.pdf(mu, -20, 30) * 0.25
    for estimate, error in zip(y, se, strict=True):
        cells *= stats.norm.pdf(estimate, mu, np.hypot(error, tau)[:, None])
    total = cells.sum()
    assert fitted.log_marginal_likelihood == pytest.approx(np.log(total), abs=1e-5)
    assert fitted.population_mean.mean() == pytest.approx((cells @ mu).sum() / total, rel=1e-5)
    assert fitted.tau.mean() == pytest.approx((cells.sum(axis=1) @ tau) / total, rel=1e-3)
    below = (cells * stats.norm.cdf((-30 - mu) / tau[:, None])).sum() / total
    assert fitted.new_study.cdf(-30) == pytest.approx(below, abs=1e-5)
    median = np.interp(0.5 * total, np.cumsum(cells.sum(axis=1)), tau)
    assert fitted.tau.quantile(0.5) == pytest.approx(median, rel=0.01)


def test_without_heterogeneity_it_is_conjugate() -> None:
    """τ held at (nearly) 0: pooled counts, and precision-weighted means in closed form."""
    still = prior("half_normal", 1e-4)
    y, se = np.array([1.0, 2.0]), np.array([0.5, 1.0])
    fitted = NormalHierarchy(y, se, MeanPrior(0, 10), still).fit()
    precision = 4 + 1 + 0.01
    assert fitted.new_study.mean() == pytest.approx(6 / precision, rel=1e-6)
    assert fitted.new_study.sd() == pytest.approx(precision**-0.5, rel=1e-6)
    counts = BinomialHierarchy(np.array([12.0, 4]), np.array([50.0, 40]), MeanPrior(0, 2), still).fit()
    pooled = BinomialHierarchy(np.array([16.0]), np.array([90.0]), MeanPrior(0, 2), still).fit()
    np.testing.assert_allclose(counts.new_moments(), pooled.new_moments(), rtol=1e-6)


def test_new_studies_fall_where_predicted() -> None:
    """Truths drawn from the priors: the 80 % interval holds 80 % of new studies."""
    rng = np.random.default_rng(77)
    se = np.array([0.2, 0.3, 0.3, 0.5])
    inside = []
    for _ in range(1500):
        mu, tau = rng.normal(0, 1), abs(rng.normal(0, 0.6))
        y = rng.normal(mu, np.hypot(tau, se))
        fitted = NormalHierarchy(y, se, MeanPrior(0, 1), prior("half_normal", 0.6)).fit()
        inside.append(0.1 < float(fitted.new_study.cdf(rng.normal(mu, tau))) < 0.9)
    assert_share(np.array(inside), 0.8, detects=0.09)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "map.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "arms.csv").write_text(COUNTS, encoding="utf-8")
    return tmp_path


def loaded(folder: Path, *overrides: str) -> Synthesis:
    return load(folder / "map.yaml", Synthesis, overrides).beside(folder)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the configuration, and that of its fit."""
    made = tmp_path_factory.mktemp("arms")
    (made / "map.yaml").write_text(CONFIG, encoding="utf-8")
    (made / "arms.csv").write_text(COUNTS, encoding="utf-8")
    return made, Store(made / "out").fit(loaded(made))


def test_command_prints_the_prior(fitted: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = fitted
    with pytest.raises(SystemExit) as ended:
        command.main(["fit", str(folder / "map.yaml"), "--results", str(folder / "out"), "--json"])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) >= {"map", "tau", "mixture", "ess"}
    assert set(report["ess"]) == {"elir", "moment", "morita"}
    assert set(report["map"]) == {"mean", "sd", "quantiles"}
    mixture = from_json(json.dumps(report["mixture"]))
    assert isinstance(mixture, BetaMixture)
    assert mixture.mean() == pytest.approx(report["map"]["mean"], abs=0.03 * report["map"]["sd"])
    assert from_json((Path(report["folder"]) / "mixture.json").read_text()).size == mixture.size
    with pytest.raises(SystemExit):
        command.main(["fit", str(folder / "map.yaml"), "--results", str(folder / "out")])
    assert "patients (ELIR" in capsys.readouterr().out


def test_example_is_what_the_evidence_says(
    configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example's counts are those of the evidence; the command fits it."""
    arms = read_control_arms(configs / "syntheses" / "placebo_responders_chronic.csv")
    rows = load_evidence().outcomes
    rows = rows[(rows["outcome"] == "responder_30") & (rows["arm_id"] == "placebo")].set_index("study_id")
    for study, n, r in zip(arms.studies, arms.n, arms.columns["r"], strict=True):
        assert r == round(rows.loc[study, "value"] / 100 * n)
        if study != "yeephu2013":  # its row gives the denominator in the note
            assert rows.loc[study, "n"] == n
    with pytest.raises(SystemExit) as ended:
        command.main(
            ["fit", str(configs / "syntheses" / "map_placebo_responders.yaml"), "--results", str(tmp_path)]
        )
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "robust mixture" in said
    assert "indirect (another condition): yeephu2013, miki2016" in said


def test_saved_draws_are_the_predictive_distribution(fitted: tuple[Path, Path]) -> None:
    _, place = fitted
    draws = np.load(place / "draws.npz")["new_share"]
    report = json.loads((place / "map.json").read_text(encoding="utf-8"))
    assert draws.mean() == pytest.approx(report["map"]["mean"], rel=1e-3)
    for p, value in report["map"]["quantiles"].items():
        assert np.quantile(draws, float(p)) == pytest.approx(value, abs=0.01 * report["map"]["sd"])
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.1


def test_means_and_a_robust_component(folder: Path) -> None:
    (folder / "arms.csv").write_text(
        "study,n,mean,se\na,50,-2.1,0.3\nb,40,-1.2,0.35\nc,90,-1.9,0.2\n", encoding="utf-8"
    )
    place = Store(folder / "out").fit(loaded(folder, "robust_weight=0.2"))
    report = json.loads((place / "map.json").read_text(encoding="utf-8"))
    robust = from_json((place / "mixture.json").read_text(encoding="utf-8"))
    assert isinstance(robust, NormalMixture)
    assert robust.weight[-1] == pytest.approx(0.2)
    assert robust.sigma == pytest.approx(np.sqrt(np.mean([50 * 0.09, 40 * 0.35**2, 90 * 0.04])))
    assert robust.s[-1] == robust.sigma
    assert report["robust"]["ess"]["elir"] < report["ess"]["elir"]


def test_digest_is_of_content_not_of_place(folder: Path) -> None:
    first = loaded(folder).digest()
    moved = folder / "elsewhere"
    moved.mkdir()
    for name in ("map.yaml", "arms.csv"):
        (moved / name).write_bytes((folder / name).read_bytes())
    assert loaded(moved).digest() == first
    (moved / "arms.csv").write_text(COUNTS.replace("33", "34"), encoding="utf-8")
    assert loaded(moved).digest() != first
    assert loaded(folder, "heterogeneity.scale=0.5").digest() != first


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("study,n,y\na,3,1\n", "allowed: study, n, r or study, n, mean, se"),
        ("study,n,r\n", "no study"),
        ("study,n,r\na,10,11\n", "row 2: r: 11 responders of 10"),
        ("study,n,r\na,ten,1\n", "row 2: n: 'ten' is not a number"),
        ("study,n,r\na,10,1.5\n", "whole numbers"),
        ("study,n,r\na,10,1\na,12,3\n", "'a' is given twice"),
        ("study,n,mean,se\na,10,1,0\n", "row 2: se: 0; must be above 0"),
        ("study,n,r\na,0,0\n", "row 2: n: 0 patients"),
        ("study,n,r\na,10\n", "row 2: r: '' is not a number"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "arms.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_control_arms(tmp_path / "arms.csv")


def test_responders_need_a_prior_of_the_mean(folder: Path) -> None:
    (folder / "map.yaml").write_text(CONFIG.replace("mean: {", "#"), encoding="utf-8")
    with pytest.raises(InputError, match="responders need a prior of the mean"):
        loaded(folder).digest()
    with pytest.raises(InputError, match="cannot be read"):
        loaded(folder, "data=no_such.csv").digest()


def test_each_study_is_held_against_the_prior_of_the_others(folder: Path) -> None:
    """Three alike and one far off: that one alone conflicts, by brute force over the prior's predictive."""
    (folder / "arms.csv").write_text(
        "study,n,mean,se\na,50,-2.0,0.1\nb,40,-2.1,0.1\nc,90,-1.9,0.1\nd,80,3.0,0.1\n", encoding="utf-8"
    )
    tight = "heterogeneity={kind: half_normal, scale: 0.2, because: test}"
    config = loaded(folder, tight)
    place = Store(folder / "out").fit(config)
    told: list[int] = []
    config.leave_one_out(place, lambda done, planned: told.append(done))
    assert told == [1, 2, 3, 4]
    conflict = json.loads((place / "map.json").read_text(encoding="utf-8"))["conflict"]
    assert conflict["d"] < 1e-3
    assert set(conflict) == {"a", "b", "c", "d"}
    assert (place / "sources.csv").read_text(encoding="utf-8").splitlines()[1].startswith("a,a")


def test_conflict_is_the_tail_of_the_prior_predictive() -> None:
    prior = BetaMixture.of((0.7, 8, 12), (0.3, 1, 1))
    draws = stats.binom.rvs(20, prior.sample(np.random.default_rng(1), 50_000), random_state=2)
    chance = np.bincount(draws, minlength=21) / len(draws)
    for r in (8, 19):
        truth = conflict_of_count(prior, r, 20)
        assert_share(
            np.isin(draws, np.flatnonzero(prior.predictive(20) <= prior.predictive(20)[r])), truth, 0.02
        )
    assert chance[19] < chance[8]
    normal = NormalMixture.of((1.0, 0.0, 0.3))
    assert conflict_of_mean(normal, 1.0, 0.4) == pytest.approx(2 * stats.norm.sf(2))
