"""A population is fitted to a reported baseline table, and simulated patients then have it."""

from pathlib import Path

import numpy as np
import pytest

from sim.claims import Draws
from sim.core.errors import InputError
from sim.core.loading import dump, to_yaml, validate
from sim.core.streams import Streams
from sim.lives import create
from sim.study import Study
from tests.montecarlo import assert_mc

COVARIATES = {
    "age": {"mean": 50, "sd": 12, "units": "years", "bounds": [18, 91]},
    "female": {"shape": "binary", "mean": 0.5, "units": "0 or 1"},
    "mood": {"shape": "gamma", "mean": 12, "sd": 9, "units": "points", "bounds": [0, 63], "step": 1},
    "disability": {"shape": "beta", "mean": 30, "sd": 14, "units": "points", "bounds": [0, 100], "step": 2},
}
COPULA = {
    "names": ["pain", "disability", "mood"],
    "matrix": [[1.0, 0.45, 0.25], [0.45, 1.0, 0.4], [0.25, 0.4, 1.0]],
    "because": "t",
}
RULES = {
    "pain": {"at_least": 4}, "age": {"between": [30, 75]}, "covariates": {"mood": {"at_most": 16}},
}  # fmt: skip
TABLE = """name,mean,sd,share
pain,6.0,1.3,
age,52,9.5,
mood,7,,
disability,41,15,
female,,,0.62
"""


def margin(tree: dict[str, object]) -> dict[str, object]:
    claims = {k: {"assume": tree[k], "because": "t"} for k in ("mean", "sd") if k in tree}
    return tree | claims


@pytest.fixture
def study_file(two_arm, tmp_path) -> Path:
    tree = dump(two_arm)
    for scenario in tree["scenarios"].values():
        scenario["population"]["covariates"] = {name: margin(c) for name, c in COVARIATES.items()}
        scenario["population"]["copula"] = COPULA
    tree["scenarios"] = {"expected": tree["scenarios"]["expected"]}
    tree["scenarios"]["expected"]["population"]["calibrate_to"] = "table.csv"
    tree["protocols"]["small"]["eligibility"] = RULES
    (tmp_path / "study.yaml").write_text(to_yaml({"schema": 1, **tree}))
    return tmp_path / "study.yaml"


def load(study_file: Path, table: str = TABLE, *changes: str) -> Study:
    (study_file.parent / "table.csv").write_text(table)
    return Study.load(study_file, changes)


def patients(study: Study, blocks: int = 8) -> dict[str, np.ndarray]:
    protocol = study.protocols["small"].model_copy(update={"n": 250, "sizes": ()})
    scenario = study.scenarios["expected"]
    parts: dict[str, list[np.ndarray]] = {}
    for block in range(blocks):
        draws = Draws(Streams(99, block), {})
        truth = scenario.realise(protocol, draws)
        world = create(protocol, scenario, truth, protocol.n, draws.streams)
        described = scenario.population.describe(world.cohort, protocol.eligibility, draws.streams)
        for name, values in {"pain": world.baseline, **described}.items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(blocks, axis=1) for name, blocks in parts.items()}


FITTED_AMONG = 80_000
"""Fewest enrolled people in the crowd that the fit looks at; its own error is part of the whole."""


def agrees(values: np.ndarray, wanted: float, detects: float) -> None:
    """Hold the mean of simulated values to the table, with the errors of the simulation and of the fit."""
    se = float(values.std() * np.sqrt(1 / values.size + 1 / FITTED_AMONG))
    assert_mc(float(values.mean()), wanted, se, detects)


def squares(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) ** 2


def test_the_enrolled_have_the_table_they_were_calibrated_to(study_file):
    """Means and variances among people other than those of the fit; a fault of 4 % of an SD is seen."""
    found = patients(load(study_file))
    for name, mean, sd in (("pain", 6.0, 1.3), ("age", 52, 9.5), ("disability", 41, 15), ("mood", 7, None)):
        size = sd or float(found[name].std())
        agrees(found[name].ravel(), mean, detects=0.04 * size)
        if sd:
            agrees(squares(found[name].ravel()), sd**2, detects=0.06 * sd**2)
    agrees(found["female"].ravel(), 0.62, detects=0.02)


def test_simulated_patients_made_into_a_table_come_back(study_file):
    """Simulate, write down the table, calibrate to it, simulate: the same means and spread."""
    first = load(study_file)
    seen = patients(first)
    rows = [f"{name},{seen[name].mean()},{seen[name].std()}," for name in ("pain", "age", "disability")]
    again = patients(load(study_file, "\n".join(["name,mean,sd,share", *rows]) + "\n"))
    for name in ("pain", "age", "disability"):
        agrees(again[name].ravel(), float(seen[name].mean()), detects=0.04 * float(seen[name].std()))
        agrees(squares(again[name].ravel()), float(seen[name].var()), detects=0.06 * float(seen[name].var()))


def test_the_resolved_study_holds_the_fitted_values_and_loads_without_the_table(study_file):
    study = load(study_file)
    tree = dump(study)
    population = tree["scenarios"]["expected"]["population"]
    assert "calibrate_to" not in population
    assert "gives the enrolled the reported 6 (1.3)" in population["pain"]["mean"]["because"]
    assert validate(tree, Study, "again") == study
    assert load(study_file) == study


def test_entry_rules_make_the_clinic_differ_from_the_table(study_file):
    population = load(study_file).scenarios["expected"].population
    assert population.pain.sd.mean({}) ** 2 + 0.9**2 > 1.4**2
    assert population.covariates["mood"].mean.mean({}) > 8


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,mean,sd\npain,3,1\n", r"row 2, column mean: the enrolled lie between 4 and 10, 3 does not"),
        ("name,mean,sd\nage,50,9\npain,6,5\n", r"row 3, column sd: no distribution between 4 and 10"),
        ("name,mean,sd\npain,6,0.5\n", r"row 2, column sd: cannot be reached"),
        ("name,mean,sd\npian,6,1\n", r"row 2, column name: unknown measure 'pian': did you mean 'pain'"),
        ("name,mean,sd\npain,six,1\n", r"row 2, column mean: 'six' is not a number"),
        ("name,mean,sd\npain,6,-1\n", r"row 2, column sd: -1 is not above 0"),
        ("name,mean,share\nfemale,0.5,\n", r"row 2, column mean: 'female' takes a share"),
        ("name,mean,share\nfemale,,1.5\n", r"row 2, column share: 1.5 is not between 0 and 1"),
        ("name,mean,sd\npain,6,1\npain,6,1\n", r"column name: 'pain' stands in two rows"),
        ("name,mean,spread\npain,6,1\n", r"unknown column 'spread'"),
        ("name,mean,sd\n", r"has no rows"),
    ],
)
def test_an_impossible_table_is_refused_with_its_row_and_column(study_file, table, message):
    with pytest.raises(InputError, match=message):
        load(study_file, table)


def test_a_table_that_is_not_there_is_an_error(study_file):
    with pytest.raises(InputError, match=r"table\.csv: cannot be read"):
        Study.load(study_file)


def test_a_population_that_was_not_fitted_enrols_nobody(two_arm):
    scenario = two_arm.scenarios["expected"]
    waiting = scenario.population.model_copy(update={"calibrate_to": "table.csv"})
    with pytest.raises(InputError, match="fitted when a study is loaded"):
        waiting.enrol(2, two_arm.protocols["small"].eligibility, None, Streams(1, 0))  # type: ignore[arg-type]
