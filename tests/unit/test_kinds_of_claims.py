"""The short forms of a claim, and the claim that is borrowed from other treatments."""

import numpy as np
import pytest

from sim.claims import Assume, Borrowed, Claim, Draws, Exactly, Mixture, MixtureJson, PosteriorClaim, Scaled
from sim.core.loading import dump, load, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.mixtures import BetaMixture, GammaMixture, NormalMixture
from sim.mixtures.exchange import to_json, to_tree
from tests.montecarlo import assert_mean

DRAWS = Draws(Streams(3, 1), {})
PARTS = [
    {"from": {"kind": "normal", "mean": -1, "sd": 0.1}, "weight": 0.5, "because": "same molecule"},
    {"from": {"assume": 3.0}, "weight": 0.5, "because": "class"},
]


def read(**tree: object) -> Claim:
    return validate(tree, Claim, "test")


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        ({"value": 1.5, "source": "one2020"}, Exactly),
        ({"assume": 1.5, "because": "test"}, Assume),
        ({"synthesis": "chronic", "treatment": "snri"}, PosteriorClaim),
    ],
)
def test_a_short_form_is_its_kind(tree, kind):
    assert type(read(**tree)) is kind
    assert read(**dump(read(**tree))) == read(**tree)


@pytest.mark.parametrize("tree", [{"value": 1.5, "source": "one2020"}, {"assume": 1.5, "because": "test"}])
def test_a_number_is_the_same_in_every_replicate(tree):
    claim = read(**tree)
    assert np.array_equal(claim.draw("x", DRAWS), np.full(BLOCK_SIZE, 1.5))
    assert claim.mean({}) == 1.5
    assert claim.support() == (1.5, 1.5)


def test_what_is_borrowed_is_a_mixture_that_says_so():
    borrowed, mixture = read(kind="borrowed", parts=PARTS), read(kind="mixture", parts=PARTS)
    assert (type(borrowed), type(mixture)) == (Borrowed, Mixture)
    assert (borrowed.borrowed, mixture.borrowed) == (True, False)
    assert np.array_equal(borrowed.draw("x", DRAWS), mixture.draw("x", DRAWS))
    assert borrowed.mean({}) == pytest.approx(1)
    assert borrowed.words() == mixture.words()


@pytest.mark.parametrize(
    ("mixture", "support"),
    [
        (NormalMixture.of((0.7, -0.5, 0.2), (0.3, 0.0, 1.0)), (-np.inf, np.inf)),
        (BetaMixture.of((0.8, 12, 20), (0.2, 1, 1)), (0, 1)),
        (GammaMixture.of((1.0, 3, 4)), (0, np.inf)),
    ],
)
def test_a_mixture_is_taken_from_the_file_that_rbest_writes(mixture, support, tmp_path):
    (tmp_path / "prior.json").write_text(to_json(mixture))
    (tmp_path / "claim.yaml").write_text("from: prior.json\nbecause: test")
    claim = load(tmp_path / "claim.yaml", Claim)
    assert isinstance(claim, MixtureJson)
    assert to_tree(claim.mixture()) == to_tree(mixture)
    assert read(**dump(claim)) == claim
    assert claim.mean({}) == pytest.approx(float(mixture.mean()))
    assert claim.support() == support
    drawn = np.concatenate([claim.draw("x", Draws(Streams(3, block), {})) for block in range(100)])
    assert_mean(drawn, float(mixture.mean()), detects=0.2 * float(mixture.sd()))


def test_a_scaled_claim_is_a_product_of_independent_claims():
    tree = {"kind": "scaled", "of": {"assume": -2.0, "because": "test"}}
    factor = {"kind": "lognormal", "median": 0.5, "log_sd": 0.2, "because": "test"}
    claim = read(**tree, by=factor)
    assert isinstance(claim, Scaled)
    drawn = np.concatenate([claim.draw("x", Draws(Streams(3, block), {})) for block in range(100)])
    assert_mean(drawn, claim.mean({}), detects=0.05)
    assert claim.mean({}) == pytest.approx(-np.exp(0.02))
    assert claim.support() == (-np.inf, 0.0)


def test_parts_of_a_mixture_that_disagree_are_named():
    """Two SDs apart is said; a vague part disagrees with nothing."""
    tight = {"kind": "normal", "mean": -1, "sd": 0.1}
    parts = [
        {"from": tight, "weight": 0.4, "because": "one"},
        {"from": {**tight, "mean": 0}, "weight": 0.3, "because": "other"},
        {"from": {**tight, "sd": 2}, "weight": 0.3, "because": "vague"},
    ]
    (said,) = read(kind="mixture", parts=parts).disagreements({})
    assert "mean -1" in said
    assert "mean 0" in said
    z = float(said.split(" lie ")[1].split()[0])
    assert z == pytest.approx(
        1 / np.hypot(0.1, 0.1), rel=0.1
    )  # an SD of 2048 draws is within 8 % of 5 errors
    assert read(kind="mixture", parts=PARTS).disagreements({})
    assert not read(
        kind="mixture", parts=[{**parts[0], "weight": 0.5}, {**parts[2], "weight": 0.5}]
    ).disagreements({})
