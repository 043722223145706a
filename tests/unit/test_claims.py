from types import MappingProxyType

import numpy as np
import pytest

from sim.claims import Claim, Draws, Posterior, claims_in
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.parts import Part
from sim.core.streams import BLOCK_SIZE, Streams
from tests.montecarlo import assert_mc, assert_mean, assert_share

BLOCKS = 200


class Holder(Part):
    claim: Claim


def claim(**tree) -> Claim:
    return validate({"claim": tree}, Holder, "test").claim


def made_posterior() -> Posterior:
    rng = np.random.default_rng(0)
    size = 1000
    effect = rng.normal([-0.5, 0.0], 0.1, (size, 2))
    arrays = {
        "digest": np.array("abc"),
        "treatments": np.array(["drug", "placebo"]),
        "classes": np.array(["pills"]),
        "studies": np.array(["one2020"]),
        "study_arm_study": np.array(["one2020"]),
        "study_arm_treatment": np.array(["drug"]),
        "effect_new": effect,
        "class_new": rng.normal(-0.3, 0.2, (size, 1)),
        "study_effect": rng.normal(-0.9, 0.1, (size, 1)),
        "study_baseline": rng.normal(5, 0.1, (size, 1)),
        "study_response": rng.normal(1.5, 0.1, (size, 1)),
        "response": rng.normal(1.9, 0.1, size),
        "response_new": -2 * effect[:, 0],
        "response_half_weeks": rng.lognormal(0.7, 0.1, size),
        "effect_half_weeks": rng.lognormal(0.3, 0.1, (size, 1)),
        "persistence_half_weeks": rng.lognormal(1, 0.1, (size, 1)),
        "rates": np.array(["hazard_stop", "share_better"]),
        "rate_new": rng.uniform(size=(size, 2, 2)),
        "rate_class": rng.uniform(size=(size, 1, 2)),
        "rate_study": rng.uniform(size=(size, 1, 2)),
    }
    return Posterior("made", MappingProxyType(arrays))


def many(one: Claim, posteriors=MappingProxyType({})) -> np.ndarray:
    return np.concatenate([one.draw("x", Draws(Streams(1, block), posteriors)) for block in range(BLOCKS)])


@pytest.mark.parametrize(
    ("tree", "sd"),
    [
        ({"kind": "normal", "mean": 2.0, "sd": 0.5, "because": "t"}, 0.5),
        (
            {"kind": "lognormal", "median": 2.0, "log_sd": 0.3, "because": "t"},
            2 * np.exp(0.045) * np.sqrt(np.expm1(0.09)),
        ),
        ({"kind": "beta", "mean": 0.3, "n": 20, "because": "t"}, np.sqrt(0.3 * 0.7 / 21)),
    ],
)
def test_draws_have_the_mean_and_sd_of_the_distribution(tree, sd):
    one = claim(**tree)
    draws = many(one)
    assert_mean(draws, one.mean({}), detects=0.1 * sd)
    kurtosis = np.mean((draws - draws.mean()) ** 4) / draws.var() ** 2
    assert_mc(float(draws.std()), sd, float(sd * np.sqrt((kurtosis - 1) / 4 / draws.size)), detects=0.1 * sd)


def test_a_mixture_takes_each_part_with_its_weight():
    one = claim(
        kind="mixture",
        parts=[
            {"from": {"value": 0, "source": "s"}, "weight": 0.25},
            {"from": {"assume": 1, "because": "t"}, "weight": 0.75},
        ],
    )
    draws = many(one)
    assert set(draws) == {0.0, 1.0}
    assert_share(draws == 1, 0.75, detects=0.03)
    assert one.mean({}) == 0.75


def test_claims_on_one_synthesis_share_their_joint_draw():
    posteriors = {"made": made_posterior()}
    draws = Draws(Streams(1, 0), posteriors)
    effect = claim(synthesis="made", treatment="drug").draw("effect", draws)
    response = claim(synthesis="made", parameter="response").draw("another name", draws)
    assert np.array_equal(response, -2 * effect)


@pytest.mark.parametrize(
    ("tree", "array", "column"),
    [
        ({"treatment": "drug"}, "effect_new", 0),
        ({"class": "pills"}, "class_new", 0),
        ({"treatment": "drug", "study": "one2020"}, "study_effect", 0),
        ({"parameter": "baseline", "study": "one2020"}, "study_baseline", 0),
        ({"parameter": "response", "study": "one2020"}, "study_response", 0),
        ({"parameter": "response"}, "response_new", None),
        ({"parameter": "effect_half_weeks", "class": "pills"}, "effect_half_weeks", 0),
        ({"parameter": "persistence_half_weeks", "class": "pills"}, "persistence_half_weeks", 0),
        ({"parameter": "hazard_stop", "treatment": "placebo"}, "rate_new", (1, 0)),
        ({"parameter": "share_better", "class": "pills"}, "rate_class", (0, 1)),
        ({"parameter": "hazard_stop", "treatment": "drug", "study": "one2020"}, "rate_study", (0, 0)),
    ],
)
def test_a_posterior_claim_reads_the_quantity_it_names(tree, array, column):
    posterior = made_posterior()
    one = claim(synthesis="made", **tree)
    expected = posterior.arrays[array]
    if column is not None:
        expected = expected[(slice(None), *np.atleast_1d(column))]
    assert np.array_equal(one.samples(posterior), expected)
    assert one.mean({"made": posterior}) == pytest.approx(expected.mean())


def test_a_posterior_claim_names_what_is_missing():
    with pytest.raises(InputError, match="no 'drog' among its treatments: did you mean 'drug'"):
        claim(synthesis="made", treatment="drog").mean({"made": made_posterior()})
    with pytest.raises(InputError, match="'other' is not fitted"):
        claim(synthesis="other", treatment="drug").mean({"made": made_posterior()})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"value": 1}, "needs 'source'"),
        ({"assume": 1}, "because: required"),
        ({"kind": "normal", "mean": 0, "sd": 0, "because": "t"}, "sd: input should be greater than 0"),
        ({"kind": "beta", "mean": 1.4, "n": 3, "because": "t"}, "mean: input should be less than 1"),
        (
            {"kind": "mixture", "parts": [{"from": {"assume": 1, "because": "t"}, "weight": 0.9}]},
            "sum to 0.9",
        ),
        ({"synthesis": "made"}, "names one of"),
        ({"synthesis": "made", "parameter": "baseline"}, "also needs 'study'"),
        ({"synthesis": "made", "parameter": "respnse"}, "did you mean 'response'"),
        ({"synthesis": "made", "parameter": "hazard_stop"}, "that of a 'treatment' or of a 'class'"),
        ({"synthesis": "made", "treatment": "drug", "robust_weight": 0.2}, "go together"),
        ({"meta": {"class": "normMix"}, "comp": [[1], [0], [-1]], "because": "t"}, "out of range"),
    ],
)
def test_a_claim_without_ground_is_refused(tree, message):
    with pytest.raises(InputError, match=message):
        claim(**tree)


def test_every_claim_of_a_study_is_found_and_round_trips(two_arm):
    paths = [path for path, _ in claims_in(two_arm.scenarios["expected"])]
    assert "treatments.drug.effect.plateau" in paths
    assert len(paths) == len(set(paths))
    again = validate(dump(two_arm), type(two_arm), "again")
    assert again == two_arm


def test_draws_have_the_size_of_a_block():
    assert claim(value=1, source="s").draw("x", Draws(Streams(1, 0), {})).shape == (BLOCK_SIZE,)


def test_a_control_arms_prior_is_a_posterior_of_one_quantity(tmp_path):
    """The draws of `kind: map` hold one array; what a network has is not there, and the error says so."""
    np.savez(tmp_path / "draws.npz", digest=np.array("abc"), new_share=np.linspace(0.2, 0.4, 500))
    posterior = Posterior.read("arm", tmp_path / "draws.npz")
    assert posterior.size == 500
    share = claim(synthesis="arm", parameter="new_share")
    assert share.support() == (0.0, 1.0)
    assert share.mean({"arm": posterior}) == pytest.approx(0.3)
    drawn = many(share, {"arm": posterior})
    assert 0.2 <= drawn.min() < drawn.max() <= 0.4
    assert_mean(drawn, 0.3, detects=0.01)
    with pytest.raises(InputError, match="holds no 'effect_new'"):
        claim(synthesis="arm", treatment="drug").mean({"arm": posterior})


def test_a_robust_posterior_is_its_mixture_with_the_vague_part():
    posteriors = {"made": made_posterior()}
    plain = claim(synthesis="made", treatment="drug")
    vague = {"kind": "normal", "mean": 1, "sd": 0.01, "because": "t"}
    robust = claim(synthesis="made", treatment="drug", robust_weight=0.25, vague=vague)
    assert robust.mean(posteriors) == pytest.approx(0.75 * plain.mean(posteriors) + 0.25)
    drawn = many(robust, posteriors)
    is_vague = drawn > 0.5  # the posterior lies around -0.5
    assert_share(is_vague, 0.25, detects=0.03)
    assert np.array_equal(drawn[~is_vague], many(plain, posteriors)[~is_vague])
    assert [path for path, _ in claims_in(robust, "x")] == ["x", "x.vague"]


def test_rates_cannot_leave_their_range():
    assert claim(synthesis="made", treatment="drug", parameter="hazard_stop").support() == (0, np.inf)
    assert claim(synthesis="made", treatment="drug", parameter="share_better").support() == (0, 1)
