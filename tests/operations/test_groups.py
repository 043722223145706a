"""What of a group's time falls to each patient, against a loop, and its price."""

from itertools import pairwise

import numpy as np

from sim import Study
from sim.claims import Draws
from sim.core.streams import Streams
from sim.operations.groups import Groups
from sim.trial import simulate
from tests.operations.test_in_the_trial import STUDY, THERAPY

GROUPS = Groups(size=3, every=2.0)


def by_hand(begins: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """One trial: each group's weeks in small steps, shared by those who are there in each."""
    found = np.zeros(len(begins))
    for date in np.unique(np.round(begins[weeks > 0])):
        here = [p for p in range(len(begins)) if weeks[p] > 0 and abs(begins[p] - date) < 1e-6]
        for group in (here[k : k + 3] for k in range(0, len(here), 3)):
            ends = sorted({0.0, *(weeks[p] for p in group)})
            for since, until in pairwise(ends):
                there = [p for p in group if weeks[p] >= until]
                found[there] += (until - since) / len(there)
    return found


def test_each_week_of_a_group_is_shared_by_those_who_are_there():
    stream = Streams(1, 0)("groups")
    begins = 2.0 * stream.integers(1, 6, (40, 8)) + 1e-13 * stream.standard_normal((40, 8))
    weeks = np.where(stream.random((40, 8)) < 0.2, 0.0, np.minimum(12 * stream.random((40, 8)), 8.0))
    begins = np.where(weeks > 0, begins, np.inf)
    found = GROUPS.shared(begins, weeks)
    for replicate in range(8):
        assert np.allclose(found[:, replicate], by_hand(begins[:, replicate], weeks[:, replicate]))


def test_a_whole_group_costs_what_one_patient_costs():
    begins, weeks = np.full((7, 2), 4.0), np.full((7, 2), 5.0)
    assert np.allclose(GROUPS.shared(begins, weeks).sum(axis=0), 3 * 5.0)
    assert np.allclose(GROUPS.shared(begins, weeks)[:6], 5 / 3)
    assert np.allclose(GROUPS.shared(begins, 0 * weeks), 0)


def test_sessions_of_a_group_are_paid_once():
    """With nobody stopping, the price is that of as many courses as there are groups."""
    clinic = "{arms: [therapy], therapists: 900, sessions_a_week: 9, groups: {size: 4, every: 3}}"
    sites = f"protocols.two_arm.operations={{kind: sites, sites: 10, max_weeks: 900, clinics: [{clinic}]}}"
    price = "scenarios.expected.costs={per_session: {assume: 10, because: t}}"
    asked = Study.load(STUDY, (*THERAPY, sites, price))
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    record = simulate(protocol, scenario, Draws(Streams(asked.seed, 0), {}))
    conduct = record.conduct
    assert record.cost is not None
    assert conduct.start is not None
    date = np.rint((conduct.enrolled + conduct.start) / 3)
    for replicate in range(0, date.shape[1], 16):
        mine = record.data.arm[:, replicate] == 1
        groups = np.ceil(np.unique(date[mine, replicate], return_counts=True)[1] / 4).sum()
        assert np.isclose(record.cost.total[0, replicate], 10 * 9 * groups)
