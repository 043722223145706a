"""The designs of one run side by side: paired differences, a front, and what cannot be told apart."""

import json

import numpy as np
import pytest

from sim import Plan, Study, run
from sim.designs import Choice, Design
from sim.report import front
from sim.report.material import Material
from sim.results import Results
from sim.sample_size import CurvePoint, SampleSize, write
from tests.cli.calling import call

PRICES = "scenarios.expected.costs={currency: EUR, per_patient: {assume: 1000, because: test}}"
OTHER = "protocols.small.sizes=[40, 60]"

METRICS = {"success": "power", "patients": "expected_n", "weeks": "duration_weeks"}


@pytest.fixture(scope="module")
def folder(two_arm_file, tmp_path_factory):
    study = Study.load(two_arm_file, ("replicates=384", PRICES, OTHER))
    place = tmp_path_factory.mktemp("designs")
    run(study, Plan(workers=1), place)
    return place


def choice_of(folder, worth: float | None = None) -> Choice:
    return Choice.of(Results.open(folder), Study.load(folder / "study.yaml"), ("expected", worth))


def design(name: str, success: float, patients: float, noise: float = 1.0) -> Design:
    """A made-up design of 400 replicates; the noise of success is its own."""
    draws = np.random.default_rng(len(name)).normal(size=400)
    return Design(
        name, 1, {"success": success + noise * (draws - draws.mean()), "patients": np.full(400, patients)}
    )


def test_measures_are_means_over_the_records(folder):
    choice = choice_of(folder, worth=50_000)
    assert [d.n for d in choice.designs] == [40, 60, 80]
    assert choice.measures == ("success", "patients", "weeks", "cost", "net_benefit")
    table = Results.open(folder).characteristics
    table = table[(table["scenario"] == "expected") & (table["estimand"].fillna("") != "responder")]
    for one in choice.designs:
        for measure, metric in (
            ("success", "power"),
            ("patients", "expected_n"),
            ("weeks", "duration_weeks"),
        ):
            row = table[(table["n"] == one.n) & (table["metric"] == metric)].iloc[0]
            assert one.measured(measure).value == pytest.approx(row["value"])
            if measure != "success":
                assert one.measured(measure).mcse == pytest.approx(row["mcse"])
        worth = 50_000 * one.measured("success").value - one.measured("cost").value
        assert one.measured("net_benefit").value == pytest.approx(worth)


def test_differences_are_paired(folder):
    small, _, large = choice_of(folder).designs
    gain = large.less(small, "success")
    each = large.shares["success"] - small.shares["success"]
    assert gain.value == each.mean()
    assert gain.mcse == pytest.approx(each.std(ddof=1) / np.sqrt(384))
    apart = np.hypot(large.measured("success").mcse, small.measured("success").mcse)
    assert gain.mcse < apart


def test_a_design_that_is_nowhere_worse_beats_another_beyond_the_error_alone():
    cheap, dear = design("cheap", 0.801, 100), design("dearer", 0.8, 120)
    choice = Choice("s", "power", (cheap, dear), ("success", "patients"))
    assert choice.front() == (cheap,)
    assert choice.verdict(dear, cheap, "success") == "not distinguishable"
    assert choice.verdict(dear, cheap, "patients") == "higher"
    better = design("better one", 0.85, 100)
    within = Choice("s", "power", (cheap, better), ("success", "patients"))
    assert within.front() == (cheap, better)
    sure = design("better one", 0.85, 100, noise=0.1), design("cheap", 0.8, 100, noise=0.1)
    assert Choice("s", "power", sure, ("success", "patients")).front() == sure[:1]


def test_under_the_null_less_success_is_better():
    careful, bold = design("careful", 0.02, 100, noise=0.01), design("bold", 0.05, 100, noise=0.01)
    choice = Choice("null", "type_1_error", (bold, careful), ("success", "patients"))
    assert choice.front() == (careful,)
    assert Choice("s", "power", (bold, careful), ("success", "patients")).front() == (bold,)


def test_the_command_says_draws_and_refuses(folder, tmp_path, capsys):
    figure = tmp_path / "designs.png"
    asked = ("compare", folder, "--scenario", "expected")
    done = call(capsys, *asked, "--worth", "50000", "--figure", figure)
    assert done.code == 0
    assert "on the front" in done.out
    assert "Largest expected net benefit: small, n = " in done.out
    assert figure.stat().st_size > 10_000
    told = json.loads(call(capsys, *asked, "--json").out)
    assert told["against"] == "small, n = 80"
    assert {row["measure"] for row in told["designs"]} == {"success", "patients", "weeks", "cost"}
    for arguments, message in (
        (("--scenario", "nowhere"), "no scenario 'nowhere'"),
        (("--scenario", "null", "--worth", "5"), "has no costs"),
        (("--against", "nobody"), "no protocol 'nobody'"),
        ((folder, "--worth", "5"), "are for one DIR"),
    ):
        failed = call(capsys, "compare", folder, *arguments)
        assert failed.code == 2
        assert message in failed.errors[0]


def test_the_front_of_a_study_is_that_of_its_run(folder, tmp_path, capsys):
    """Simulated for the front alone or read from a run: the same designs on the same patients."""
    study, drawn = folder / "study.yaml", tmp_path / "front.png"
    size = "size={protocol: small, power_scenario: expected, assurance_scenario: drawn, replicates: 384}"
    asked = ("--front", "--scenario", "expected", "--worth", "50000", "--figure", drawn, "--json")
    alone = json.loads(call(capsys, "size", study, *asked, "--set", size).out)
    read = json.loads(
        call(capsys, "compare", folder, "--scenario", "expected", "--worth", "50000", "--json").out
    )
    assert alone == read
    assert alone["currency"] == "EUR"
    assert {row["measure"] for row in alone["designs"]} >= {"success", "patients", "weeks", "cost"}
    assert drawn.stat().st_size > 10_000
    refused = call(capsys, "size", study, "--power", "0.9", "--worth", "5")
    assert refused.code == 2
    assert "are for --front" in refused.errors[0]


def test_a_report_draws_the_front_and_says_the_size(folder, tmp_path):
    answer = {"protocol": "small", "target": "power", "goal": 0.8, "scenario": "expected", "arm": "active"}
    answer |= {"n_per_arm": 60, "n_total": 120, "value": 0.823, "mcse": 0.0085, "certainty": 0.985}
    answer |= {"low": 55.0, "high": 61.0, "replicates": 2000, "note": ""}
    lost = answer | {"n_per_arm": None, "n_total": None, "note": "power is 0.70 at the largest size"}
    curve = CurvePoint("small", "power", "expected", "active", 120, 60, 0.8, 0)
    write(folder, [SampleSize(**answer), SampleSize(**lost)], [curve])
    material = Material.read(Results.open(folder))
    first, second = front.answers(material)
    assert "60 patients per arm, 120 in all. P(power ≥ 0.8) = 0.985, given the simulation's error" in first
    assert "of 2000 trials with fresh patients 0.823 (0.009) succeed" in first
    assert second.endswith("power 0.8 is not reached; power is 0.70 at the largest size.")
    drawn = front.picture(material, tmp_path / "front.png")
    assert drawn is not None
    assert "small, n = 40" in drawn.alt
    assert len((tmp_path / "front.csv").read_text().splitlines()) == 1 + 3 * 3  # without costs
