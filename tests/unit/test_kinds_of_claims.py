"""The short forms of a claim, and the claim that is borrowed from other treatments."""

import numpy as np
import pytest

from sim.claims import Assume, Borrowed, Claim, Draws, Exactly, Mixture, PosteriorClaim
from sim.core.loading import dump, validate
from sim.core.streams import BLOCK_SIZE, Streams

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
