"""Type I error over nuisance values: each cell is a run of its own, and the bound holds for all together."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import binom

from sim import Plan, Study
from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.streams import Streams
from sim.region import ANY, cells, maxima, over, scenario_at, upper_limit
from sim.trial import simulate
from tests.cli.calling import call

REGION = (
    "region={of: 'null', over: {population.variation.sd: [1.5, 2.7], course.response: [0.5, 2.5]}, "
    "because: test, replicates: 200}"
)


@pytest.fixture(scope="module")
def study(two_arm_file) -> Study:
    return Study.load(two_arm_file, (REGION,))


@pytest.fixture(scope="module")
def errors(study):
    return list(over(study, study.region, Plan(workers=1)))


def test_a_cell_is_the_null_scenario_with_its_values(study):
    scenario = scenario_at(study, study.region, (2.7, 0.5))
    assert scenario.null
    assert scenario.population.variation.sd.assume == 2.7
    assert scenario.course.response.assume == 0.5
    assert scenario.course.half_weeks == study.scenarios["null"].course.half_weeks


def test_the_errors_of_a_cell_are_those_of_its_trials(study, errors):
    assert cells(study.region) == [(1.5, 0.5), (1.5, 2.5), (2.7, 0.5), (2.7, 2.5)]
    assert len(errors) == 4 * 3
    scenario = scenario_at(study, study.region, (1.5, 2.5))
    found = [simulate(study.protocols["small"], scenario, Draws(Streams(7, b), {}), (80,)) for b in (0, 1)]
    hits = [np.concatenate([r.findings[i].success[0, 0] for r in found])[:200] for i in (0, 1)]
    rows = {e.hypothesis: e for e in errors if e.values == (1.5, 2.5)}
    assert rows["primary.active"].value == hits[0].mean()
    assert rows["responder.active"].value == hits[1].mean()
    assert rows[ANY].value == (hits[0] | hits[1]).mean()
    assert rows[ANY].high == upper_limit(int((hits[0] | hits[1]).sum()), 200, 1 - 0.05 / 4)


def test_the_maximum_is_the_worst_cell_with_the_largest_limit(errors):
    for worst in maxima(errors):
        mine = [e for e in errors if e.hypothesis == worst.hypothesis]
        assert worst.value == max(e.value for e in mine)
        assert worst.high == max(e.high for e in mine)


@pytest.mark.parametrize("rate", [0.005, 0.025, 0.03, 0.2])
def test_the_limits_of_six_cells_hold_together_as_often_as_they_say(rate):
    """The exact probability that the limit of a binomial count lies above its rate, to the sixth power."""
    limits = np.array([upper_limit(hits, 1000, 1 - 0.05 / 6) for hits in range(1001)])
    chance = binom.pmf(np.arange(1001), 1000, rate)
    assert 0.95 <= chance[limits >= rate].sum() ** 6 < 0.985


def test_the_upper_limit_is_that_of_clopper_and_pearson():
    assert upper_limit(0, 59, 0.95) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert binom.cdf(7, 300, upper_limit(7, 300, 0.95)) == pytest.approx(0.05)
    assert upper_limit(5, 5, 0.95) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("region.of=expected", "region.of: 'expected' is no scenario with 'null: true': allowed: null"),
        ("region.over={}", "region.over"),
    ],
)
def test_a_region_that_cannot_be_is_refused(two_arm_file, change, message):
    with pytest.raises(InputError, match=message):
        Study.load(two_arm_file, (REGION, change))


@pytest.mark.parametrize("path", ["course.respons", "population.variation.sdd", "nothing.here"])
def test_a_path_that_leads_to_nothing_is_refused(two_arm_file, path):
    study = Study.load(two_arm_file, (REGION.replace("course.response", path),))
    with pytest.raises(InputError, match=r"two_arm: region\.over.*(respons|sdd|nothing)"):
        list(over(study, study.region, Plan(workers=1)))


def test_the_command_writes_every_cell_and_says_the_worst(two_arm_file, tmp_path, capsys):
    file = tmp_path / "region.csv"
    answer = call(capsys, "region", two_arm_file, "--set", REGION, "--out", file, "--json")
    assert answer.code == 0
    content = json.loads(answer.out)
    with file.open() as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == len(content["cells"]) == 12
    assert {"population.variation.sd", "course.response", "value", "high"} <= set(rows[0])
    text = call(capsys, "region", two_arm_file, "--set", REGION).out
    assert "4 cells of 200 trials" in text
    assert call(capsys, "region", two_arm_file).errors[0].endswith("region: required, but not given")
