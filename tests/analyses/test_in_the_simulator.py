"""Every analysis inside a simulated study: it runs, agrees with its neighbours, and says what it is."""

import numpy as np
import pytest

from sim.analyses.base import Analysis
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import read_yaml, validate
from sim.core.streams import Streams
from sim.protocol import Protocol
from sim.study import Study
from sim.trial import Finding, simulate
from tests.analyses.blocks import KINDS

PARALLEL = [kind for kind in KINDS if kind != "crossover"]
"""The other one is of trials with two periods, and is tested there."""
REFERENCE = {
    "mean_difference": "ancova",
    "risk_difference": "responder_difference",
    "hazard_ratio": "cox",
    "win_ratio": "win_ratio",
}
ESTIMANDS = {
    "mean_difference": "primary",
    "risk_difference": "responder",
    "hazard_ratio": "time",
    "win_ratio": "pairs",
}

OPTIONS = {
    "conditional_mean": {"groups": 5},
    "multiple_imputation": {"imputations": 3, "by_reason": {"adverse_event": "jump_to_reference"}},
    "bayes_normal": {"difference": {"components": [{"mean": 0, "sd": 2}]}},
}
"""What a kind needs, and the jackknife coarse, for time."""


def asked(kind: str) -> dict[str, object]:
    """The analysis part of a look, of the right estimand."""
    summary = Analysis.kinds()[kind].summary or "mean_difference"
    return {"kind": kind, "estimand": ESTIMANDS.get(summary, "primary"), **OPTIONS.get(kind, {})}


@pytest.fixture(scope="module")
def findings(two_arm: Study, two_arm_file) -> dict[str, Finding]:
    """One block of the small study, analysed by everything."""
    tree = read_yaml(two_arm_file)["protocols"]["small"]
    rule = {"kind": "one_sided", "alpha": 0.025}
    looks = [{"analysis": asked(kind), "rule": rule} for kind in PARALLEL]
    tree["endpoints"] = {"first_response": {"kind": "time_to_response", "reduction": 0.3, "visits": 1}}
    time = {**tree["estimands"]["primary"], "endpoint": "first_response", "summary": "hazard_ratio"}
    pairs = {**tree["estimands"]["primary"], "summary": "win_ratio", "order": [{"outcome": "value"}]}
    tree["estimands"] |= {"time": time, "pairs": pairs}
    protocol = validate({**tree, "looks": looks}, Protocol, "test")
    record = simulate(protocol, two_arm.scenarios["expected"], Draws(Streams(7, 0), {}), (40, 80))
    # imputation draws from the block's own streams, and may follow the reason for stopping
    assert record.data.streams == Streams(7, 0)
    assert record.data.reason is not None
    return dict(zip(PARALLEL, record.findings, strict=True))


@pytest.mark.parametrize("kind", PARALLEL)
def test_every_analysis_runs_in_a_block(kind, findings):
    found = findings[kind].estimate
    assert found.estimate.shape == (1, 2, 128)
    assert np.isfinite(found.estimate).mean() > 0.95
    inside = np.isfinite(found.estimate)
    assert (found.low[inside] < found.estimate[inside]).all()
    assert (found.estimate[inside] < found.high[inside]).all()
    assert not findings[kind].success[~inside].any()


@pytest.mark.parametrize("kind", PARALLEL)
def test_every_analysis_follows_the_plain_one_of_its_summary(kind, findings):
    """They estimate nearly the same of the same patients, so a wrong sign, arm or visit shows."""
    summary = Analysis.kinds()[kind].summary or "mean_difference"
    plain = findings[REFERENCE[summary]].estimate.estimate[0, 1]
    ours = findings[kind].estimate.estimate[0, 1]
    both = np.isfinite(plain) & np.isfinite(ours)
    assert np.corrcoef(plain[both], ours[both])[0, 1] > 0.7


@pytest.mark.parametrize("kind", PARALLEL)
def test_every_analysis_has_words_and_a_source(kind):
    member = Analysis.kinds()[kind]
    words = member.model_validate(asked(kind)).words()
    assert len(words) > 20
    assert not words.endswith(".")
    assert any(year in (member.__doc__ or "") for year in ("19", "20")), "name the paper in the docstring"


def test_a_mean_is_not_analysed_as_a_share(two_arm_file):
    tree = read_yaml(two_arm_file)["protocols"]["small"]
    look = {
        "analysis": {"kind": "mmrm", "estimand": "responder"},
        "rule": {"kind": "one_sided", "alpha": 0.025},
    }
    with pytest.raises(InputError, match="needs a mean_difference, 'responder' is a risk_difference"):
        validate({**tree, "looks": [look]}, Protocol, "test")
