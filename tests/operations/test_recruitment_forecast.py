"""Predictions for a running trial: a closed form for one site, and coverage of simulated trials."""

import csv
import json
from datetime import date

import numpy as np
import pytest
from scipy.stats import betaprime, gamma, nbinom

from sim.core.streams import Streams
from sim.operations.recruitment import OpenSites
from sim.recruitment_forecast import (
    DRAWS,
    SHAPE,
    SHAPE_SPREAD,
    USUAL_RATE,
    USUAL_SPREAD,
    Forecast,
    Progress,
    Rates,
)
from tests.cli.calling import call
from tests.montecarlo import assert_mc, assert_mean, assert_share

ONE_SITE = Progress(np.array([40.0]), np.array([52.0]), np.zeros(1), np.array([np.inf]))


def test_one_site_with_known_shape_and_mean_has_a_beta_prime_time():
    """Rate gamma(a + n, a / m + t), missing patients gamma: the time is their ratio."""
    mean, shape, missing = 0.5, 1.2, 60
    found = Forecast.make(ONE_SITE, missing, Rates.known(mean, shape), Streams(1, 0))
    law = betaprime(missing, shape + 40, scale=shape / mean + 52)
    assert_mean(found.complete, law.mean(), detects=0.05 * law.mean())
    for level in (0.05, 0.5, 0.95):
        assert_share(found.complete < law.ppf(level), level, detects=0.07)
    assert found.by(law.ppf(0.5)) == pytest.approx(0.5, abs=0.05)


def test_patients_of_one_site_are_negative_binomial():
    mean, shape, week = 0.5, 1.2, 20.0
    found = Forecast.make(ONE_SITE, 10_000, Rates.known(mean, shape), Streams(1, 0))
    a, b = shape + 40, shape / mean + 52
    levels = np.array([0.1, 0.5, 0.9])
    quantiles = found.patients(np.array([week]), levels, Streams(1, 0))[:, 0]
    law = nbinom(a, b / (b + week))
    for level, value in zip(levels, quantiles, strict=True):
        error = np.sqrt(level * (1 - level) / DRAWS)
        low, high = law.ppf([level - 5 * error, level + 5 * error])
        assert low <= value <= high


def test_a_planned_site_begins_when_it_opens_and_a_closing_one_ends():
    nobody = np.zeros(2)
    progress = Progress(nobody, nobody, np.array([0.0, 10.0]), np.array([4.0, np.inf]))
    found = Forecast.make(progress, 50, Rates.known(2.0, 1e9), Streams(1, 0))  # rates are 2 each
    expected = found.sites.expected(np.array([3.0, 4.0, 7.0, 10.0, 15.0]))
    assert np.allclose(expected.mean(axis=1), [6, 8, 8, 8, 18], rtol=1e-3)
    closed = Progress(np.array([9.0]), np.array([5.0]), np.zeros(1), np.zeros(1))
    never = Forecast.make(closed, 5, Rates.known(2.0, 1.0), Streams(1, 0))
    assert np.isinf(never.complete).all()
    assert never.by(1e9) == 0


def test_a_trial_with_all_its_patients_is_complete():
    found = Forecast.make(ONE_SITE, 0, Rates.learned(ONE_SITE), Streams(1, 0))
    assert found.quantile(0.95) == 0


def test_rates_that_are_learned_are_those_of_fine_integration():
    """The mean of the posterior of the mean rate against a sum over 400 × 400 cells that is not refined."""
    stream = Streams(3, 0)("sites")
    weeks = stream.uniform(5, 60, 12)
    recruited = stream.poisson(stream.gamma(1.5, 0.3 / 1.5, 12) * weeks).astype(float)
    progress = Progress(recruited, weeks, np.zeros(12), np.full(12, np.inf))
    log_mean = np.log(USUAL_RATE) + USUAL_SPREAD * np.linspace(-4.5, 4.5, 400)
    log_shape = np.log(SHAPE) + SHAPE_SPREAD * np.linspace(-4.5, 4.5, 400)
    mean, shape = (np.exp(x) for x in np.meshgrid(log_mean, log_shape, indexing="ij"))
    height = -(((np.log(mean) - np.log(USUAL_RATE)) / USUAL_SPREAD) ** 2) / 2
    height -= ((np.log(shape) - np.log(SHAPE)) / SHAPE_SPREAD) ** 2 / 2
    for n, t in zip(recruited, weeks, strict=True):
        height += nbinom.logpmf(n, shape, 1 / (1 + t * mean / shape))
    weight = np.exp(height - height.max())
    found = Rates.learned(progress)
    for name, values in (("mean", mean), ("shape", shape)):
        expected = float((weight * values).sum() / weight.sum())
        assert float(found.weight @ getattr(found, name)) == pytest.approx(expected, rel=0.01)


def running_trial(stream: np.random.Generator, sites: int) -> tuple[Progress, OpenSites]:
    """A trial 40 weeks old whose mean rate and shape come from the prior."""
    mean = USUAL_RATE * np.exp(USUAL_SPREAD * stream.standard_normal())
    shape = SHAPE * np.exp(SHAPE_SPREAD * stream.standard_normal())
    rate = stream.standard_gamma(shape, (sites, 1)) * mean / shape
    opened = stream.uniform(-40, 20, sites)
    weeks = np.maximum(-opened, 0)
    recruited = stream.poisson(rate[:, 0] * weeks).astype(float)
    opens = np.maximum(opened, 0)
    return Progress(recruited, weeks, opens, np.full(sites, np.inf)), OpenSites(opens[:, None], rate)


@pytest.mark.parametrize(("sites", "trials"), [(1, 200), pytest.param(8, 600, marks=pytest.mark.slow)])
def test_intervals_cover_simulated_trials_as_often_as_they_say(sites, trials):
    missing, place = 50, []
    for trial in range(trials):
        stream = Streams(11, trial)("trial")
        progress, truth = running_trial(stream, sites)
        week = truth.arrivals(stream.standard_exponential((missing, 1)))[-1, 0]
        forecast = Forecast.make(progress, missing, Rates.learned(progress), Streams(12, trial))
        place.append(float(np.mean(forecast.complete <= week)))
    found = np.array(place)
    assert_share((found > 0.05) & (found < 0.95), 0.9, detects=0.18)
    assert_share(found < 0.5, 0.5, detects=0.3)
    assert_mc(float(found.var()), 1 / 12, np.sqrt(1 / 180 / trials), detects=0.045)


COUNTS = """site,opened,randomised
North,2025-11-21,40
South,2026-05-21,9
East,2027-01-10,0
"""
DATES = """site,opened,closed,randomised
North,2026-01-01,,2026-02-01
North,2026-01-01,,2026-03-05
South,2026-01-01,2026-06-01,
"""


@pytest.fixture
def file(tmp_path):
    def write(text: str):
        path = tmp_path / "sites.csv"
        path.write_text(text)
        return path

    return write


def test_the_command_gives_dates_with_their_probabilities(file, capsys):
    arguments = (
        "predict",
        file(COUNTS),
        "--target",
        "120",
        "--on",
        "2026-11-21",
        "--by",
        "2027-12-31",
        "--json",
    )
    answer = call(capsys, *arguments)
    found = json.loads(answer.out)
    assert answer.code == 0
    assert (found["randomised"], found["missing"], found["target"]) == (49, 71, 120)
    days = [date.fromisoformat(found["complete"][level]) for level in ("0.05", "0.25", "0.5", "0.75", "0.95")]
    assert days == sorted(days)
    assert days[0] > date(2026, 11, 21)
    assert 0 < found["probability_by"] < 1
    north, south, east = found["sites"]
    assert north["a_month_low"] < 40 / 12 < north["a_month_high"]
    assert south["open_weeks"] == pytest.approx(184 / 7)
    assert east["a_month_high"] - east["a_month_low"] > north["a_month_high"] - north["a_month_low"]


def test_a_known_rate_and_shape_are_taken_as_given(file, capsys):
    text = "site,opened,randomised\nA,2025-11-22,40\n"
    given = ("--rate", "2.174", "--shape", "1.2")
    arguments = ("predict", file(text), "--target", "100", "--on", "2026-11-21", *given, "--json")
    printed = call(capsys, *arguments).out
    law = betaprime(60, 41.2, scale=1.2 / 0.5 + 52)
    assert json.loads(printed)["weeks"]["0.5"] == pytest.approx(law.median(), rel=0.02)
    rate = gamma(41.2, scale=1 / (1.2 / 0.5 + 52)).median() * 365.25 / 12 / 7
    assert json.loads(printed)["sites"][0]["a_month"] == pytest.approx(rate, rel=0.02)


def test_a_row_a_patient_is_read_as_well(file, capsys):
    arguments = ("predict", file(DATES), "--target", "10", "--on", "2026-11-21", "--json")
    printed = call(capsys, *arguments).out
    north, south = json.loads(printed)["sites"]
    assert north["randomised"] == 2
    assert south["open_weeks"] == pytest.approx(151 / 7)
    assert json.loads(printed)["missing"] == 8


def test_the_fan_begins_with_what_was_seen_and_ends_at_the_target(file, capsys, tmp_path):
    figure = tmp_path / "fan.png"
    asked = ("--target", "10", "--on", "2026-11-21", "--figure", figure)
    assert call(capsys, "predict", file(DATES), *asked).code == 0
    assert figure.stat().st_size > 5000
    drawn = list(csv.DictReader((tmp_path / "fan.csv").read_text().splitlines()))
    seen = [(float(row["week"]), float(row["seen"])) for row in drawn if row["seen"]]
    assert [count for _, count in seen] == [0, 1, 2, 2]
    assert seen[0][0] == pytest.approx(-324 / 7)
    fan = [tuple(float(row[name]) for name in ("low", "mean", "high")) for row in drawn if row["mean"]]
    assert fan[0] == (2, 2, 2)
    assert fan[-1][2] == 10
    assert all(low <= mean <= high for low, mean, high in fan)
    answer = call(capsys, "predict", file(DATES), *asked[:-1], "fan.svg")
    assert answer.code == 2


def test_it_is_said_in_words(file, capsys):
    answer = call(capsys, "predict", file(COUNTS), "--target", "120", "--on", "2026-11-21")
    assert answer.code == 0
    assert "49 of 120 patients randomised by 2026-11-21" in answer.out
    assert "The last patient: 20" in answer.out
    answer = call(capsys, "predict", file(COUNTS), "--target", "40", "--on", "2026-11-21")
    assert "Recruitment is complete" in answer.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site,opened\nA,2026-01-01\n", "no column randomised"),
        ("site,opened,randomised\n", "has no rows"),
        ("site,opened,randomised\nA,01.02.2026,3\n", "row 2, opened: '01.02.2026' is no day"),
        ("site,opened,randomised\nA,2026-01-01,3\nA,2026-01-01,3\n", "two rows"),
        ("site,opened,randomised\nA,2027-01-01,3\n", "has not been open"),
        ("site,opened,randomised\nA,2026-01-01,2025-12-01\n", "before the site opened"),
        ("site,opened,closed,randomised\nA,2026-01-01,2025-12-01,3\n", "not after it opened"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(file, text, message, capsys):
    answer = call(capsys, "predict", file(text), "--target", "10", "--on", "2026-11-21")
    assert answer.code == 2
    assert message in answer.errors[0]
