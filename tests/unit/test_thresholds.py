"""A threshold from null trials: at one look the level itself, at several that of Pocock's bound."""

import json

import numpy as np
import pytest
from scipy.stats import norm

from sim import Plan, Study
from sim.core.errors import InputError
from sim.core.loading import dump
from sim.rules.group_sequential import GroupSequential
from sim.rules.threshold import calibrate
from sim.thresholds import NullJob, Question, largest, null_maxima
from tests.cli.calling import call
from tests.montecarlo import assert_share

POSTERIOR = {"kind": "posterior_probability", "benefits": [{"beyond": 0, "probability": 0.98}]}
RULE = {"kind": "interim_rules", "stop_if": POSTERIOR, "final": POSTERIOR}


@pytest.mark.parametrize(
    ("fractions", "trials", "detects"),
    [((1.0,), 2560, 0.026), pytest.param((0.5, 0.75, 1.0), 6400, 0.016, marks=pytest.mark.slow)],
)
def test_the_threshold_is_that_of_a_constant_bound(two_arm, fractions, trials, detects):
    tree = dump(two_arm)
    look = {"analysis": {"kind": "ancova", "estimand": "primary"}, "rule": POSTERIOR}
    if len(fractions) > 1:
        look |= {"when": {"fractions": list(fractions)}, "rule": RULE}
    tree["protocols"]["small"] |= {"n": 120, "sizes": [], "looks": [look]}
    study = Study.model_validate(tree)
    found = null_maxima(study, Question("small", "null", 0.0, trials), Plan(workers=1))
    assert len(found) == trials
    pocock = GroupSequential.model_validate({"kind": "group_sequential", "spending": {"kind": "pocock"}})
    exact = norm.cdf(pocock.boundaries(fractions).efficacy_z[0]) if len(fractions) > 1 else 0.975
    assert_share(found > exact, 0.025, detects=detects)
    limits = calibrate(found, 0.025, confidence=0.9999)
    assert limits.low < exact < limits.high
    assert np.mean(found > limits.threshold) <= 0.025


def test_the_null_trials_are_none_of_the_studys_own(two_arm):
    """A run of the study then asks fresh patients whether the threshold holds."""
    found = null_maxima(two_arm, Question("small", "null", 0.0, 128), Plan(workers=1))
    protocol, scenario = (
        two_arm.protocols["small"],
        two_arm.scenarios["null"].only(two_arm.protocols["small"]),
    )
    own = largest(NullJob(protocol, scenario, 0.0, two_arm.seed, 0, ()))
    assert not np.isin(found, own).any()


def test_the_command_and_what_it_refuses(two_arm_file, two_arm, capsys):
    asked = ("--replicates", "256", "--error", "0.1", "--json")
    answer = json.loads(call(capsys, "threshold", two_arm_file, *asked).out)
    assert (answer["protocol"], answer["scenario"]) == ("small", "null")
    assert answer["low"] <= answer["threshold"] <= answer["high"]
    assert answer["error"] <= 0.1 < answer["error_high"]
    for options, message in (
        (("--scenario", "expected"), "is not marked 'null: true'"),
        (("--protocol", "smal"), "did you mean 'small'"),
        (("--error", "2"), "is not a probability"),
    ):
        refused = call(capsys, "threshold", two_arm_file, *options)
        assert refused.code == 2
        assert message in refused.errors[0]
    tree = dump(two_arm)
    tree["protocols"]["small"]["looks"][0] |= {"when": {"weeks": [30]}, "rule": RULE}
    with pytest.raises(InputError, match="its looks change the trial"):
        null_maxima(Study.model_validate(tree), Question("small", "null", 0.0, 128), Plan(workers=1))
