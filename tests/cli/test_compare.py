"""Differences of two runs carry the Monte Carlo error of the difference."""

import json

import numpy as np
import pytest

from sim import Plan, Study, run
from sim.cli.compare import settings
from sim.cli.differences import Difference, Run, common_correlation, differences, error_of_difference
from tests.cli.calling import call


def finished(two_arm_file, folder, *changes: str) -> Run:
    study = Study.load(two_arm_file, ("replicates=384", *changes))
    return Run(run(study, Plan(workers=1), folder))


@pytest.fixture(scope="module")
def runs(two_arm_file, tmp_path_factory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    changes = {
        "first": (),
        "better": ("scenarios.expected.treatments.drug.effect.plateau={assume: -1.6, because: test}",),
        "other seed": ("seed=8",),
        "fewer": ("replicates=200",),
        "larger": ("protocols.small.n=120",),
    }
    return {name: finished(two_arm_file, folder / name, *those) for name, those in changes.items()}


def by_key(found) -> dict[tuple[str, ...], Difference]:
    return {(d.scenario, d.estimand, d.arm, d.metric, str(d.n[0])): d for d in found}


def test_the_error_of_paired_replicates_is_that_of_their_differences(runs):
    found = by_key(differences(runs["first"], runs["better"]))
    rows = [
        runs[name].results.records("small", "expected").query("estimand == 'primary' and n == 80")
        for name in ("first", "better")
    ]
    success = rows[1]["success"].to_numpy(float) - rows[0]["success"].to_numpy(float)
    power = found["expected", "primary", "active", "power", "80"]
    assert power.paired
    assert power.difference == pytest.approx(success.mean(), rel=1e-12)
    assert power.mcse == pytest.approx(success.std() / np.sqrt(384), rel=1e-9)
    se = rows[1]["se"].to_numpy() - rows[0]["se"].to_numpy()
    mean_se = found["expected", "primary", "active", "mean_se", "80"]
    assert mean_se.mcse == pytest.approx(se.std(ddof=1) / np.sqrt(384), rel=1e-9)


@pytest.mark.parametrize("name", ["first", "better"])
def test_what_replicates_add_gives_the_characteristic(runs, name):
    """The shares that are correlated are those that the reported numbers are means of."""
    compared = set()
    for row in runs[name].rows.values():
        share = runs[name].shares(row)
        if share is None or np.isnan(row["value"]):
            continue
        value = np.nanmean(share)
        if row["metric"] == "rmse":
            value = np.sqrt(value)
        elif row["metric"] == "empirical_se":
            value = np.sqrt(value * len(share) / (len(share) - 1))
        assert value == pytest.approx(row["value"], rel=1e-9, abs=1e-12), row
        compared.add(row["metric"])
    assert {"power", "bias", "rmse", "empirical_se", "coverage", "mean_change", "dropout"} <= compared


def test_pairing_is_what_makes_small_differences_visible(runs):
    paired = by_key(differences(runs["first"], runs["better"]))
    alone = by_key(differences(runs["first"], runs["other seed"]))
    key = ("expected", "primary", "active", "power", "80")
    assert paired[key].mcse < 0.8 * alone[key].mcse
    assert paired[key].verdict == "higher"


def test_runs_of_different_seeds_are_independent(runs):
    found = by_key(differences(runs["first"], runs["other seed"]))
    assert not any(d.paired for d in found.values())
    assert len(found) == len(runs["first"].rows)
    table = [runs[name].results.characteristics for name in ("first", "other seed")]
    one, other = (t.query("scenario == 'null' and metric == 'coverage' and n == 80")["mcse"] for t in table)
    d = found["null", "primary", "active", "coverage", "80"]
    assert d.mcse == pytest.approx(np.hypot(one.iloc[0], other.iloc[0]), rel=1e-12)


def test_a_run_equals_itself(runs):
    for d in differences(runs["first"], runs["first"]):
        assert d.verdict == "equal"
        assert d.mcse == pytest.approx(0, abs=1e-7)


def test_what_the_change_does_not_touch_is_equal(runs):
    found = by_key(differences(runs["first"], runs["better"]))
    assert {d.verdict for key, d in found.items() if key[0] != "expected"} == {"equal"}


def test_the_whole_trial_is_compared_whatever_its_size(runs):
    found = list(differences(runs["first"], runs["larger"]))
    assert {d.n for d in found} == {(40, 40), (80, 120)}
    sizes = [d for d in found if d.metric == "expected_n" and d.n == (80, 120)]
    assert all((d.difference, d.mcse, d.verdict) == (40, 0, "higher") for d in sizes)


@pytest.mark.parametrize("replicates", [(400, 400), (400, 150)])
def test_the_error_of_means_that_share_their_first_replicates(replicates):
    """Against the spread over 20,000 pairs of runs; 3 % off would be 6 standard errors of that spread."""
    rng = np.random.default_rng(1)
    repeats, correlation = 20_000, 0.6
    means = np.empty((repeats, 2))
    for i in range(repeats):
        z = rng.standard_normal((2, max(replicates)))
        second = correlation * z[0] + np.sqrt(1 - correlation**2) * z[1]
        means[i] = 2 * z[0, : replicates[0]].mean(), second[: replicates[1]].mean()
    errors = (2 / np.sqrt(replicates[0]), 1 / np.sqrt(replicates[1]))
    spread = np.diff(means, axis=1).std()
    assert error_of_difference(errors, replicates, correlation) == pytest.approx(spread, rel=0.03)


def test_fewer_replicates_are_paired_by_those_in_common(runs):
    found = by_key(differences(runs["first"], runs["fewer"]))
    power = found["expected", "primary", "active", "power", "80"]
    assert power.paired
    a, b = (
        runs[name]
        .results.characteristics.query(
            "scenario == 'expected' and estimand == 'primary' and metric == 'power' and n == 80"
        )["mcse"]
        .item()
        for name in ("first", "fewer")
    )
    assert power.mcse == pytest.approx(np.sqrt(a**2 + b**2 - 2 * a * b * np.sqrt(200 / 384)), rel=1e-9)


def test_correlation_leaves_out_failed_analyses_and_constants():
    assert common_correlation(None, np.ones(3)) is None
    assert common_correlation(np.ones(3), np.arange(3.0)) == 0
    a = np.array([1.0, np.nan, 2.0, 3.0, 9.0])
    b = np.array([2.0, 5.0, 4.0, 6.0])
    assert common_correlation(a, b) == pytest.approx(1)


@pytest.mark.parametrize(
    ("difference", "mcse", "verdict"),
    [
        (0.05, 0.02, "higher"),
        (-0.05, 0.02, "lower"),
        (0.05, 0.03, "within 2 Monte Carlo errors"),
        (0.0, 0.03, "within 2 Monte Carlo errors"),
        (0.0, 0.0, "equal"),
        (0.05, float("nan"), "within 2 Monte Carlo errors"),
    ],
)
def test_nothing_is_ranked_within_two_errors(difference, mcse, verdict):
    names = {name: "x" for name in ("protocol", "scenario", "estimand", "arm", "metric")}
    d = Difference(n=(1, 1), first=1.0, second=1.0 + difference, mcse=mcse, paired=False, **names)
    assert d.verdict == verdict


def test_settings_that_differ_are_listed_by_path():
    first = {"n": 80, "arms": [{"name": "a"}, {"name": "b"}], "visits": [0, 1], "old": 1}
    second = {"n": 90, "arms": [{"name": "a"}, {"name": "c"}], "visits": [0, 1, 2]}
    assert settings(first, second) == [
        ("n", 80, 90),
        ("arms[1].name", "b", "c"),
        ("visits", [0, 1], [0, 1, 2]),
        ("old", 1, None),
    ]


def test_the_command_says_what_differs(runs, capsys):
    folders = [runs[name].results.folder for name in ("first", "better")]
    answer = call(capsys, "compare", *folders)
    assert (answer.code, answer.errors) == (0, [])
    assert "scenarios.expected.treatments.drug.effect.plateau.mean: -1.0 → nothing" in answer.out
    assert "more characteristics are equal or within two Monte Carlo errors" in answer.out
    content = json.loads(call(capsys, "compare", *folders, "--json").out)
    assert [content["first"], content["second"]] == [str(folder) for folder in folders]
    verdicts = {
        row["metric"]: row["verdict"] for row in content["differences"] if row["scenario"] == "expected"
    }
    assert verdicts["power"] == "higher"
    assert len(content["differences"]) == len(runs["first"].rows)


def test_scenarios_of_one_run_alone_are_named(runs, two_arm_file, tmp_path, capsys):
    text = two_arm_file.read_text("utf-8").replace("  drawn:", "  optimistic:")
    file = tmp_path / "two_arm.yaml"
    file.write_text(text, encoding="utf-8")
    other = finished(file, tmp_path / "out")
    answer = call(capsys, "compare", runs["first"].results.folder, other.results.folder)
    assert f"only in {runs['first'].results.folder}: small.drawn " in answer.out
    assert f"only in {other.results.folder}: small.optimistic " in answer.out


def test_a_folder_without_a_run_is_refused(runs, tmp_path, capsys):
    for folders in (
        [tmp_path, runs["first"].results.folder],
        [runs["first"].results.folder, tmp_path / "no"],
    ):
        answer = call(capsys, "compare", *folders)
        assert (answer.code, answer.out, len(answer.errors)) == (2, "", 1)
        assert "holds no finished run" in answer.errors[0]


def test_hypotheses_together_are_compared_on_common_patients(two_arm_file, tmp_path):
    """The paired error of the family-wise rates is that of the difference replicate by replicate."""
    found = [
        finished(two_arm_file, tmp_path / kind, f"protocols.small.multiplicity={{kind: {kind}}}")
        for kind in ("unadjusted", "bonferroni")
    ]
    key = ("expected", "", "", "disjunctive_power", "80")
    difference = by_key(differences(*found))[key]
    won = [
        run.results.records("small", "expected").query("n == 80").groupby("replicate")["success"].any()
        for run in found
    ]
    paired = won[1].astype(float) - won[0].astype(float)
    assert difference.paired
    assert difference.difference == pytest.approx(paired.mean(), rel=1e-12)
    assert difference.mcse == pytest.approx(paired.std(ddof=0) / np.sqrt(384), rel=1e-9)
