"""Win ratio, win odds and net benefit as summaries of an estimand: their true values, and what is refused."""

import numpy as np
import pytest

from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import Streams
from sim.priority import Level, between_lives, compare_pairs
from sim.protocol import Protocol
from sim.trial import simulate
from sim.true_values import true_values
from tests.montecarlo import assert_mc

ORDER = [{"outcome": "time_on_treatment"}, {"outcome": "value", "margin": 1}]
MEASURES = ("win_ratio", "win_odds", "net_benefit")


def protocol(two_arm, **changes) -> Protocol:
    tree = dump(two_arm.protocols["small"])
    primary = tree["estimands"]["primary"]
    tree["estimands"] = {name: {**primary, "summary": name, "order": ORDER} for name in MEASURES}
    rule = {"kind": "one_sided", "alpha": 0.025}
    analyses = [{"kind": "win_ratio", "estimand": name, "measure": name} for name in MEASURES]
    tree |= {"n": 160, "sizes": [], "looks": [{"analysis": each, "rule": rule} for each in analyses]}
    return validate({**tree, **changes}, Protocol, "t")


def test_the_analysis_of_pairs_finds_its_true_value(two_arm):
    """1,024 trials: the mean of the estimates against that of the true values of other patients."""
    trial, scenario = protocol(two_arm), two_arm.scenarios["expected"]
    draws = [Draws(Streams(9, block), {}) for block in range(8)]
    true = [true_values(trial, scenario, each, 256) for each in draws[:2]]
    records = [simulate(trial, scenario, each) for each in draws]
    for place, name in enumerate(MEASURES):
        found = np.concatenate([record.findings[place].estimate.estimate[0, 0] for record in records])
        aim = np.concatenate([each[name][0] for each in true])
        assert found.mean() > 0, "the drug helps, and more wins are better"
        se = np.hypot(found.std(ddof=1) / np.sqrt(len(found)), aim.std(ddof=1) / np.sqrt(len(aim)))
        assert_mc(float(found.mean()), float(aim.mean()), float(se), detects=0.15)
    success = np.concatenate([record.findings[2].success[0, 0] for record in records])
    net = np.concatenate([record.findings[2].estimate.estimate[0, 0] for record in records])
    assert success[net > 0.25].all()
    assert not success[net < 0].any()


def test_lives_are_compared_with_those_of_other_patients():
    """Three patients by hand: nine pairs less the three of a patient with themselves."""
    order = (Level(outcome="time_on_treatment"), Level(outcome="value"))
    treated = [np.array([[np.inf], [5.0], [np.inf]]), np.array([[-3.0], [-1.0], [-4.0]])]
    control = [np.array([[np.inf], [np.inf], [5.0]]), np.array([[-3.5], [-4.0], [-1.0]])]
    # 1 beats 2 by pain and 3 by time; 2 loses to 1 by time and ties with 3 in time and in pain; 3 loses to 1
    # by pain and ties with 2 in both
    won, lost = between_lives(treated, control, order)[:, 0]
    assert (won, lost) == pytest.approx((2 / 6, 2 / 6))
    wins, _ = compare_pairs([one[:, 0] for one in treated], [one[:, 0] for one in control], [0, 0])
    assert wins[0, 0] == 1, "a patient's own two lives differ, and are left out"
    nobody = np.full((2, 1), np.nan)
    among = [[np.concatenate([each, nobody]) for each in group] for group in (treated, control)]
    assert between_lives(*among, order)[:, 0] == pytest.approx((2 / 6, 2 / 6)), "who is absent is in no pair"


def test_without_an_effect_nobody_wins(two_arm):
    true = true_values(protocol(two_arm), two_arm.scenarios["null"], Draws(Streams(9, 0), {}), 128)
    for name in MEASURES:
        assert abs(true[name].mean()) < 1e-12


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        ("estimands", {"order": []}, "needs 'order'"),
        ("estimands", {"summary": "mean_difference"}, "knows no 'order'"),
        ("estimands", {"intercurrent_events": {"discontinuation": "composite"}}, "needs a summary of"),
        (
            "estimands",
            {"intercurrent_events": {"discontinuation": "principal_stratum"}},
            "knows no principal",
        ),
        ("analysis", {"measure": "win_odds"}, "needs a win_odds, 'net_benefit' is a net_benefit"),
        ("analysis", {"levels": ORDER}, "levels: are for real data"),
    ],
)
def test_what_pairs_cannot_mean_is_refused(two_arm, path, change, message):
    tree = dump(protocol(two_arm))
    if path == "estimands":
        tree["estimands"]["net_benefit"] |= change
    else:
        tree["looks"][2]["analysis"] |= change
    with pytest.raises(InputError, match=message):
        validate(tree, Protocol, "t")
