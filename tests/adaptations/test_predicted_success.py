"""Success foreseen at looks of trials whose size is not the one they were planned with."""

import numpy as np
import pytest
from scipy.stats import norm, t

from sim.mixtures import NormalMixture
from sim.rules.predictive_probability import of_mean
from tests.adaptations.trials import nature, protocol, run

RULE = {
    "kind": "interim_rules",
    "go_on_if": {"kind": "predicted_success", "at_least": 0.1},
    "final": {"kind": "one_sided", "alpha": 0.025},
}


@pytest.mark.parametrize(
    ("planned_sd", "limits", "sizes"),
    [(1.0, {"most_times": 2}, (80, 160)), (100.0, {"least": 0.7}, (80, 56))],
    ids=["grows", "shrinks"],
)
def test_the_end_that_is_foreseen_is_the_one_now_planned(two_arm, planned_sd, limits, sizes):
    """Against the mixture's predictive probability under a wide prior, by the patients then planned."""
    change = [{"kind": "blinded_sd", "planned_sd": planned_sd, **limits}]
    look = {"when": {"fractions": [0.5, 0.75, 1]}, "rule": RULE}
    record = run(protocol(two_arm, look, n=80, adaptations=change), nature(two_arm, a_week=0.05), 1)[0]
    found = record.findings[0]
    estimate = found.estimate
    z = norm.isf(t.cdf(estimate.estimate / estimate.se, estimate.df)[0])
    wide = NormalMixture(np.ones(1), np.zeros(1), np.full(1, 1e4), 1.0)
    seen = 0.75 * sizes[1] if sizes[1] > 80 else 40 + (sizes[1] - 40) / 2
    on = np.ones(128, dtype=bool)
    for place, share in enumerate((40 / sizes[0], seen / sizes[1])):
        predicted = of_mean(z[place] / np.sqrt(share), (1 / np.sqrt(share), 1.0), 1.959964, wide)
        assert ((record.ended[0] == place) == (on & (predicted < 0.1))).all()
        on &= predicted >= 0.1
        assert on.any()
        assert not on.all()
