"""A discounted study counts with a power of its likelihood, and disability is read on one scale."""

import numpy as np
import pytest
from scipy import stats

from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.synthesis import Synthesis


@pytest.fixture(scope="module")
def chronic(configs):
    return load(configs / "syntheses" / "chronic.yaml", Synthesis)


def test_a_discount_is_a_power_of_the_likelihood(chronic):
    tree = dump(chronic) | {"discount": [{"study": "miki2016", "factor": 0.5, "because": "fibromyalgia"}]}
    after = validate(tree, Synthesis, "discounted").harmonised.entries
    before = chronic.harmonised.entries
    mine = before["study_id"] == "miki2016"
    assert mine.any()
    assert (after.loc[~mine, "se"] == before.loc[~mine, "se"]).all()
    assert after.loc[mine, "se_from"].str.endswith("discounted").all()
    x, shift = before.loc[mine, "value"].to_numpy(), 0.7
    for old, new in zip(before.loc[mine, "se"], after.loc[mine, "se"], strict=True):
        ratio = stats.norm.logpdf(x, x + shift, old) - stats.norm.logpdf(x, x, old)
        powered = stats.norm.logpdf(x, x + shift, new) - stats.norm.logpdf(x, x, new)
        np.testing.assert_allclose(powered, 0.5 * ratio)


def test_a_discount_of_a_study_that_does_not_enter_is_refused(chronic):
    tree = dump(chronic) | {"discount": [{"study": "ju2001", "factor": 0.5, "because": "flare"}]}
    with pytest.raises(InputError, match="study 'ju2001' does not enter"):
        _ = validate(tree, Synthesis, "discounted").harmonised


def test_questionnaires_of_disability_are_read_on_one_scale(configs):
    """Roland-Morris 2.17 points are 6.3 of the Oswestry's 100; improvement printed as positive is turned."""
    rows = load(configs / "syntheses" / "disability_chronic.yaml", Synthesis).harmonised.entries
    one = rows.set_index(["study_id", "weeks"])["value"]
    assert one["tilbrook2011", 13.0] == pytest.approx(-2.17 / 34.5 * 10)
    assert one["okeeffe2020", 26.0] == pytest.approx(-0.865)
    assert not rows["study_id"].isin(["ashar2025", "hancock2024"]).any()


def test_the_pain_network_is_as_it_was_without_the_new_settings(chronic):
    plain = {k: v for k, v in dump(chronic).items() if k not in ("outcome", "scales", "discount")}
    again = validate(plain, Synthesis, "plain")
    assert again.harmonised.entries.equals(chronic.harmonised.entries)
