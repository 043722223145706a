"""The network question as its file states it."""

import pytest

from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.synthesis import Synthesis
from sim.synthesis.models.longitudinal_nma import LongitudinalNma


@pytest.fixture(scope="module")
def chronic(configs) -> LongitudinalNma:
    config = load(configs / "syntheses" / "chronic.yaml", Synthesis)
    assert isinstance(config, LongitudinalNma)
    return config


def test_the_digest_names_what_decides_the_fit(chronic):
    again = validate(dump(chronic), Synthesis, "again")
    other = validate(dump(chronic) | {"seed": 1}, Synthesis, "other")
    assert chronic.digest() == again.digest() != other.digest()


def test_the_digest_changes_with_the_evidence(chronic):
    """Rows that nobody has checked enter only where they are let in, and then it is another fit."""
    every = ["checked", "derived", "unverified"]
    more = validate(dump(chronic) | {"provenance": every}, Synthesis, "more")
    assert len(more.harmonised.entries) > len(chronic.harmonised.entries)
    assert more.digest() != chronic.digest()


def test_a_treatment_belongs_to_one_class(chronic):
    tree = dump(chronic)
    first, second = list(tree["classes"])[:2]
    tree["classes"][second]["treatments"] = tree["classes"][first]["treatments"]
    with pytest.raises(InputError, match="class"):
        validate(tree, Synthesis, "twice")
