"""How a scenario's claims become numbers: drawn, at their means, or shrunken."""

import numpy as np
import pytest

from sim.claims import Claim, Draws
from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.evaluation import AtMean, Drawn, Evaluation, Sceptical

DRAWS = Draws(Streams(5, 2), {})
PLATEAU = "treatments.drug.effect.plateau"


@pytest.fixture
def claim() -> Claim:
    return validate({"kind": "normal", "mean": -1.2, "sd": 0.4, "because": "test"}, Claim, "test")


def test_at_mean_is_the_mean_in_every_replicate_and_gives_power(claim):
    evaluation = validate({"kind": "at_mean"}, Evaluation, "test")
    assert type(evaluation) is AtMean
    assert np.array_equal(evaluation.reader(DRAWS)(PLATEAU, claim), np.full(BLOCK_SIZE, -1.2))
    assert not evaluation.is_drawn


def test_drawn_is_the_claims_own_draw_and_gives_assurance(claim):
    evaluation = validate({"kind": "drawn"}, Evaluation, "test")
    assert type(evaluation) is Drawn
    drawn = evaluation.reader(DRAWS)(PLATEAU, claim)
    assert np.array_equal(drawn, claim.draw(PLATEAU, DRAWS))
    assert len(set(drawn)) == BLOCK_SIZE
    assert evaluation.is_drawn


def test_sceptical_shrinks_effects_and_nothing_else(claim):
    evaluation = validate(
        {"kind": "sceptical", "factor": {"assume": 0.5, "because": "test"}}, Evaluation, "test"
    )
    assert type(evaluation) is Sceptical
    read = evaluation.reader(DRAWS)
    assert np.array_equal(read(PLATEAU, claim), np.full(BLOCK_SIZE, -0.6))
    assert np.array_equal(read("course.response", claim), np.full(BLOCK_SIZE, -1.2))
    assert not evaluation.is_drawn
