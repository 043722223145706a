"""Timelines against a count patient by patient, and the figures that are drawn from them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sim.report.figures.operations as figures
from sim import Plan, Study, run
from sim.report.html import render
from sim.timeline import Timeline, write
from tests.operations.test_in_the_trial import CLINIC, STUDY, THERAPY

NAMES = ("two_arm", "expected")
PRICES = (
    "scenarios.expected.costs={fixed: {assume: 1000, because: t}, per_patient: {assume: 100, because: t}}"
)


def study(clinic: str, *more: str) -> Study:
    patience = "scenarios.expected.conditions={patience: {assume: 3, because: t}}"
    sites = f"protocols.two_arm.operations={{kind: sites, sites: 10, max_weeks: 900, clinics: [{clinic}]}}"
    read = Study.load(STUDY, (*THERAPY, sites, patience, *more))
    return read.model_copy(update={"scenarios": {"expected": read.scenarios["expected"]}})


def by_week(line: Timeline) -> pd.DataFrame:
    rows = pd.DataFrame(list(line.rows()))
    return rows.pivot_table(index="week", columns="quantity", values="mean")


@pytest.fixture(scope="module")
def line() -> Timeline:
    return Timeline.of(study(CLINIC % 2), NAMES, Plan(workers=1))


def test_a_timeline_is_what_a_count_of_the_patients_gives(line: Timeline):
    found = by_week(line)
    conduct, events = line.lived.conduct, line.lived.life.events
    week, trials = float(found.index[len(found) // 2]), line.intake.arm.shape[1]
    given = (conduct.enrolled, line.intake.arm, conduct.start, conduct.gave_up, events.leave, events.ended)
    randomised = waiting = treated = 0
    for enrolled, arm, start, gave_up, leave, ended in zip(*(v.ravel().tolist() for v in given), strict=True):
        randomised += enrolled <= week
        if arm == 1 and enrolled <= week:
            waiting += week < enrolled + min(start, gave_up, leave)
            treated += enrolled + start <= week < enrolled + min(start + 4, ended)
    assert found.loc[week, "randomised"] == pytest.approx(randomised / trials)
    assert found.loc[week, "waiting"] == pytest.approx(waiting / trials)
    assert waiting > trials
    assert found.loc[week, "load therapy"] == pytest.approx(treated / trials * (9 / 4) / 18)
    assert found["load therapy"].max() <= 1


def test_a_group_takes_the_sessions_of_one_patient():
    groups = "{arms: [therapy], therapists: 1, sessions_a_week: 9, groups: {size: 4, every: 3}}"
    line = Timeline.of(study(groups), NAMES, Plan(workers=1))
    conduct, found = line.lived.conduct, by_week(line)
    week = 3.0 * round(float(found.index[len(found) // 3]) / 3)
    groups_running = np.zeros(conduct.enrolled.shape[1])
    for replicate in range(len(groups_running)):
        begins = (conduct.enrolled + conduct.start)[line.intake.arm[:, replicate] == 1, replicate]
        for date in (week, week - 3):
            groups_running[replicate] += np.ceil(np.isclose(begins, date).sum() / 4)
    assert found.loc[week, "load therapy"] == pytest.approx(groups_running.mean() * (9 / 4) / 9)


def test_the_patients_of_one_trial_are_told_in_order(line: Timeline):
    rows = pd.DataFrame(list(line.patients()))
    assert len(rows) == 60
    assert rows["randomised"].is_monotonic_increasing
    begun = rows.dropna(subset=["begins"])
    assert (begun["begins"] >= begun["randomised"]).all()
    assert (begun["ends"] <= begun["last"] + 1e-9).all()
    assert (rows.loc[rows["left"], "last"] < rows.loc[rows["left"], "randomised"] + 12).all()


@pytest.mark.slow
def test_the_report_shows_how_trials_run(tmp_path: Path):
    asked = study(CLINIC % 2, PRICES, "replicates=128", "protocols.two_arm.sizes=[100]")
    results = run(asked, Plan(workers=1), tmp_path / "out")
    write(results.folder, asked, Plan(workers=1))
    page = render(results).read_text()
    for name in ("recruitment", "waiting", "patients", "money"):
        assert (results.folder / "figures" / f"{name}.png").stat().st_size > 5000
        assert (results.folder / "figures" / f"{name}.csv").exists()
    for said in (
        "patients randomised by week",
        "how busy clinics are",
        "one patient in 5",
        "What a trial costs",
    ):
        assert said in page, said


def test_trials_behind_an_open_door_have_no_timeline(tmp_path: Path):
    write(tmp_path, Study.load(STUDY), Plan(workers=1))
    assert not list(tmp_path.iterdir())


def test_the_figures_have_units_and_what_they_are_given():
    weeks = pd.DataFrame({"week": [0.0, 5, 10], "mean": [0.0, 60, 110], "low": [0.0, 40, 80]})
    weeks["high"] = [0.0, 90, 120]
    fan = figures.recruitment_fan(weeks, 120)[0]
    assert fan.get_xlabel() == "weeks since the first site opened"
    assert fan.get_ylabel() == "patients randomised"
    assert "target: 120" in [text.get_text() for text in fan.get_legend().get_texts()]
    both = pd.concat(
        [weeks.assign(protocol=p, panel=q) for p in ("two", "four") for q in ("waiting", "load")]
    )
    assert [axes.get_ylabel() for axes in figures.waiting_and_load(both)] == ["waiting", "load"]
    people = pd.DataFrame(
        {"patient": [1, 2, 3], "arm": ["a", "b", "a"], "randomised": [0.0, 1, 2], "begins": [0.0, np.nan, 4],
         "ends": [5.0, np.nan, 9], "last": [12.0, 3, 14], "left": [False, True, False]}
    )  # fmt: skip
    gantt = figures.gantt(people)[0]
    assert gantt.get_xlabel() == "weeks since the first site opened"
    assert gantt.get_ylim()[0] > 3
    points = pd.DataFrame(
        {"protocol": ["two", "two"], "n": [100, 300], "cost": [9e5, 2.4e6], "low": [8e5, 2e6],
         "high": [1e6, 3e6], "value": [0.6, 0.9], "mcse": [0.02, 0.01]}
    )  # fmt: skip
    money = figures.cost_against_success(points, "USD", "power")[0]
    assert money.get_xlabel().startswith("cost of a trial, million USD")
    assert money.get_ylabel() == "power, share of trials"
