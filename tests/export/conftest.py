"""A trial in which everything happens that a dataset can show."""

import pytest

from sim import Plan, Results, Study, run
from sim.core.loading import dump, validate
from sim.replay import Trial, rebuild


def assume(value: float) -> dict[str, object]:
    return {"assume": value, "because": "test"}


COVARIATES = {
    "age": {"mean": assume(45), "sd": assume(12), "units": "years"},
    "female": {"shape": "binary", "mean": assume(0.5), "units": "0 or 1"},
    "disability": {
        "shape": "beta", "mean": assume(35), "sd": assume(14), "units": "ODI 0-100", "bounds": [0, 100],
    },
    "body mass index": {"shape": "lognormal", "mean": assume(27), "sd": assume(5), "units": "kg/m²"},
}  # fmt: skip
ODI = {
    "covariate": "disability",
    "per_point": assume(4.5),
    "change_sd": assume(10),
    "correlation": assume(0.4),
}
RESCUE = {"share_at_five": assume(0.3), "odds_ratio_per_point": assume(1.5), "relief": assume(-0.5)}


@pytest.fixture(scope="session")
def eventful(two_arm: Study) -> Study:
    tree = dump(two_arm)
    del tree["scenarios"]["null"]
    protocol = tree["protocols"]["small"]
    protocol["arms"][1]["therapists"] = 3
    protocol["endpoints"]["disability"] = {"kind": "measure", "measure": "ODI"}
    for scenario in tree["scenarios"].values():
        scenario["population"]["covariates"] = COVARIATES
        scenario["other_outcomes"] = {"ODI": ODI}
        scenario["rescue"] = RESCUE
        scenario["missing"] = {"missed_visit": {"mechanism": "mcar", "probability": assume(0.1)}}
        scenario["treatments"]["drug"]["adverse_events"] = {"dry_mouth": assume(0.3), "nausea": assume(0.2)}
        scenario["treatments"]["drug"]["therapist_icc"] = assume(0.05)
    return validate(tree, Study, "test")


@pytest.fixture(scope="session")
def trial(eventful: Study) -> Trial:
    return rebuild(eventful, ("small", "drawn"), 140, Plan(workers=1))


@pytest.fixture(scope="session")
def eventful_run(eventful: Study, tmp_path_factory: pytest.TempPathFactory) -> Results:
    tree = {**dump(eventful), "replicates": 200}
    return run(validate(tree, Study, "test"), Plan(workers=1), tmp_path_factory.mktemp("run"))
