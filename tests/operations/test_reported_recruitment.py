"""Recruitment of reported trials: where their times lie in what is predicted from sites and rates."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.conditions import ConditionLevels
from sim.operations.recruitment import OpenSites
from sim.recruitment_forecast import SHAPE, USUAL_RATE, USUAL_SPREAD

MONTH = 365.25 / 12 / 7
BLOCKS = 16
EXCEPTIONS = {
    "PACE Plus": "general practices that hardly recruited: 0.02 a month is 2.9 SDs below the middle rate",
    "mindfulness or CBT": "one site that is a whole health system: 17 a month is 2.1 SDs above",
    "pain reprocessing": "one university that advertised: 15 a month is 2.0 SDs above",
}
"""Trials whose rate is beyond those of centres of British multicentre trials."""


@dataclass(frozen=True)
class Reported:
    """A trial's sites, patients, months of recruitment and patients a site and month."""

    trial: str
    sites: int
    patients: int
    months: float
    a_month: float

    def predicted(self, rate: np.ndarray, late: float = 0.0) -> np.ndarray:
        """Months to the last patient, (trial,), at a weekly rate of a site; each opens ``late`` weeks on."""
        shared = {"between_sites": SHAPE, "never_recruits": 0.15, "activation": late}
        many = {name: np.full(BLOCK_SIZE, value) for name, value in shared.items() if value}
        conditions = ConditionLevels(**many) if self.sites > 1 else ConditionLevels()
        months = []
        for block, mean in enumerate(np.split(rate, BLOCKS)):
            streams = Streams(1, block)
            sites = OpenSites.draw(self.sites, 0, mean, conditions, streams)
            waits = streams("arrivals").standard_gamma(self.patients, (1, BLOCK_SIZE))
            months.append(sites.arrivals(waits)[0] / MONTH)
        return np.concatenate(months)

    def of_its_own_rate(self, late: float = 0.0) -> np.ndarray:
        return self.predicted(np.full(BLOCKS * BLOCK_SIZE, self.a_month / MONTH), late)

    def of_other_trials(self) -> np.ndarray:
        z = Streams(2, 0)("rate of a trial").standard_normal(BLOCKS * BLOCK_SIZE)
        return self.predicted(USUAL_RATE * np.exp(USUAL_SPREAD * z))


def read() -> Iterator[Reported]:
    with (Path(__file__).with_name("reported_recruitment.csv")).open() as file:
        for row in csv.DictReader(file):
            numbers = int(row["sites"]), int(row["patients"]), float(row["months"]), float(row["a_month"])
            yield Reported(row["trial"], *numbers)


TRIALS = list(read())


@cache
def table() -> list[str]:
    """The table of docs/operations.md: 95 % predictive intervals in months."""
    rows = []
    for one in TRIALS:
        made = one.of_its_own_rate(), one.of_its_own_rate(10.0), one.of_other_trials()
        shown = ("{:.3g} ({:.3g} to {:.3g})".format(*np.quantile(m, [0.5, 0.025, 0.975])) for m in made)
        rows.append(f"| {one.trial} | {one.sites} | {one.patients} | {one.months:g} | {' | '.join(shown)} |")
    return rows


@pytest.mark.parametrize("one", TRIALS, ids=lambda one: one.trial)
def test_the_reported_time_is_within_what_its_sites_and_rate_predict(one):
    low, high = np.quantile(one.of_its_own_rate(), [0.025, 0.975])
    assert low <= one.months <= high


@pytest.mark.parametrize("one", TRIALS, ids=lambda one: one.trial)
def test_the_reported_time_is_within_what_other_trials_rates_predict(one):
    low, high = np.quantile(one.of_other_trials(), [0.025, 0.975])
    inside = low <= one.months <= high
    assert inside != (one.trial in EXCEPTIONS), (low, one.months, high)


def test_the_page_shows_these_predictions():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    for row in table():
        assert row in page, row
