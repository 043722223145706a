"""One study held out: what is left, and what is foretold."""

from dataclasses import dataclass, field, replace
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, multivariate_normal, norm

from sim.synthesis.backtest import draw_soundly, score, summarise
from sim.synthesis.folds import Fold
from sim.synthesis.network import covariance
from sim.synthesis.question import Sampling
from tests.synthesis.small_network import network, plan, rows

WEEKS = [0.0, 4.0, 12.0]


def three_studies(seed: int = 1) -> pd.DataFrame:
    entries = pd.concat([rows(i, ["placebo", "nsaid"], WEEKS, n=60) for i in range(3)], ignore_index=True)
    return entries.assign(value=5 + np.random.default_rng(seed).standard_normal(len(entries)))


def test_the_follow_up_is_held_out_and_the_baseline_stays() -> None:
    entries = three_studies()
    fold = Fold(network(entries), entries, "s1")
    held = entries.iloc[fold.held]
    assert set(held["study_id"]) == {"s1"}
    assert sorted(held["weeks"]) == [4.0, 4.0, 12.0, 12.0]
    assert len(fold.kept) == len(entries) - 4


def test_what_is_left_has_the_likelihood_of_the_rows_left() -> None:
    """Twin: the density of the kept rows alone, by SciPy: the log ratio of two sets of means is the same."""
    entries = three_studies()
    made = network(entries)
    fold = Fold(made, entries, "s1")
    sigma = covariance(entries, plan(12.0, 3))[np.ix_(fold.kept, fold.kept)]
    seen = entries["value"].to_numpy()[fold.kept]
    rng = np.random.default_rng(2)
    first, second = (5 + rng.standard_normal(made.combine.shape[1]) for _ in range(2))

    def whitened(cells: np.ndarray) -> float:
        data = fold.rest().data()
        return float(norm.logpdf(data["whitened"], data["mixing"] @ cells).sum())

    def plain(cells: np.ndarray) -> float:
        return float(multivariate_normal((made.combine @ cells)[fold.kept], sigma).logpdf(seen))

    assert whitened(first) - whitened(second) == pytest.approx(plain(first) - plain(second), abs=1e-8)
    assert abs(plain(first) - plain(second)) > 1


def test_the_prediction_is_the_conditional_normal() -> None:
    """Twin: joint density of held-out and kept rows over that of the kept ones, for one draw."""
    entries = three_studies()
    made = network(entries)
    fold = Fold(made, entries, "s1")
    mean = 5 + 0.3 * np.random.default_rng(3).standard_normal(len(entries))
    sigma = covariance(entries, plan(12.0, 3))
    seen = entries["value"].to_numpy()
    one = int(fold.held[0])
    both = np.append(fold.kept, one)
    joint = multivariate_normal(mean[both], sigma[np.ix_(both, both)]).logpdf(seen[both])
    alone = multivariate_normal(mean[fold.kept], sigma[np.ix_(fold.kept, fold.kept)]).logpdf(seen[fold.kept])
    told = score(fold, mean[None, :])
    assert told["log_score"][0] == pytest.approx(joint - alone, abs=1e-8)
    arms = told[told["form"] == "difference"]
    assert list(arms["treatment"]) == ["nsaid", "nsaid"]
    assert list(arms["comparator"]) == ["placebo", "placebo"]


def test_predictions_of_a_true_model_are_calibrated() -> None:
    """Trials drawn with the very means that foretell them: PIT uniform, intervals with their coverage.

    A baseline that did not stay in the condition, or an error left out, would show: the SD of a follow-up
    given its baseline is 0.7 of the whole one, which moves the 50 % coverage to 0.66.
    """
    entries = three_studies()
    sigma = covariance(entries, plan(12.0, 3))
    mean = np.full(len(entries), 5.0)
    made = network(entries)
    rng = np.random.default_rng(5)
    found = []
    for value in rng.multivariate_normal(mean, sigma, 600):
        fold = Fold(replace(made, observed=value), entries.assign(value=value), "s1")
        found.append(fold.predictive(mean[None, :]).cdf(fold.rows["reported"].to_numpy(dtype=float)))
    pit = np.array(found)
    assert min(kstest(column, "uniform").pvalue for column in pit.T) > 1e-5
    inside = np.abs(pit - 0.5) <= 0.25
    assert np.all(np.abs(inside.mean(axis=0) - 0.5) < 5 * 0.5 / np.sqrt(len(pit)))


def test_coverage_counts_rows_and_studies() -> None:
    table = pd.DataFrame(
        {
            "study": ["a"] * 3 + ["b", "b"],
            "form": ["mean"] * 4 + ["difference"],
            "pit": [0.5, 0.5, 0.01, 0.99, 0.5],
            "log_score": [0.0, 0.0, -3.0, -3.0, 0.0],
            "converged": [True] * 3 + [False] * 2,
        }
    )
    told = summarise(table)
    whole = told["coverage"]["all"]
    assert whole["predictions"] == 4
    assert whole["95"] == 0.5
    assert whole["95_by_study"] == pytest.approx((2 / 3 + 0) / 2)
    assert told["coverage"]["difference"]["95"] == 1.0
    assert told["not_converged"] == ["b"]
    assert told["sound"], "four predictions are too few to speak of coverage"
    many = pd.concat([table.assign(study=f"s{i}", form="mean") for i in range(8)])
    assert not summarise(many)["sound"]


@dataclass
class Chains:
    """A sampler whose chains lie ``apart`` in turn, SDs; it keeps what it was asked."""

    apart: list[float]
    asked: list[Sampling] = field(default_factory=list)

    def draw(self, sampling: Sampling, seed: int, progress: bool) -> Any:
        self.asked.append(sampling)
        draws = np.random.default_rng(seed).standard_normal((sampling.chains, sampling.draws))
        draws += self.apart.pop(0) * np.arange(sampling.chains)[:, None]
        still = np.zeros(draws.shape, dtype=bool)
        return az.from_dict(posterior={"omega_z": draws}, sample_stats={"diverging": still})


@pytest.mark.parametrize(
    ("apart", "times", "sound"), [([0.0], 1, True), ([2.0, 0.0], 2, True), ([2.0, 2.0], 2, False)]
)
def test_a_fold_that_does_not_converge_is_drawn_once_more(
    apart: list[float], times: int, sound: bool
) -> None:
    chains, asked = Chains(apart), Sampling(chains=4, tune=300, draws=500, target_accept=0.8)
    posterior, told = draw_soundly(chains, asked, seed=3)  # type: ignore[arg-type]
    assert (len(chains.asked), told["converged"]) == (times, sound)
    assert [s.target_accept for s in chains.asked] == [0.95, 0.975][:times]
    assert posterior.posterior.sizes["draw"] == 500 * times
