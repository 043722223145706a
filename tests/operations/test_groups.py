"""What of a group's time falls to each patient, against a loop, and its price."""

from itertools import pairwise

import numpy as np

from sim import Study
from sim.claims import Draws
from sim.core.streams import Streams
from sim.operations.groups import Groups
from sim.trial import TrialRecord, simulate
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


CLINIC = "{arms: [therapy], therapists: 900, sessions_a_week: 9, groups: {size: 4, every: 3}}"
SITES = f"protocols.two_arm.operations={{kind: sites, sites: 2, max_weeks: 900, clinics: [{CLINIC}]}}"
PRICE = "scenarios.expected.costs={per_session: {assume: 10, because: t}}"


def grouped(*sizes: int, more: tuple[str, ...] = ()) -> TrialRecord:
    """Trials in which nobody stops and a session costs 10."""
    asked = Study.load(STUDY, (*THERAPY, SITES, PRICE, *more))
    protocol, scenario = asked.protocols["two_arm"], asked.scenarios["expected"]
    return simulate(protocol, scenario, Draws(Streams(asked.seed, 0), {}), sizes)


def courses(record: TrialRecord, replicate: int, first: int) -> float:
    """Courses that the groups of the first so many patients take."""
    conduct = record.conduct
    assert conduct.start is not None
    date = np.rint((conduct.enrolled + conduct.start)[:first, replicate] / 3)
    mine = record.data.arm[:first, replicate] == 1
    return np.ceil(np.unique(date[mine], return_counts=True)[1] / 4).sum()


def test_sessions_of_a_group_are_paid_once():
    """With nobody stopping, the price is that of as many courses as there are groups."""
    record = grouped()
    assert record.cost is not None
    for replicate in range(0, 128, 16):
        groups = courses(record, replicate, record.sizes[0])
        assert np.isclose(record.cost.total[0, replicate], 10 * 9 * groups)


def test_a_smaller_trial_pays_the_groups_that_it_would_have_alone():
    """Who is not in a trial takes no part in its groups: a cut of a larger one costs what it costs alone."""
    together, alone = grouped(21, 60).cost, grouped(21).cost
    assert together is not None
    assert alone is not None
    assert np.array_equal(together.total[0], alone.total[0])
    assert np.array_equal(together.by_arm[:, 0], alone.by_arm[:, 0])
    assert (together.total[1] > together.total[0]).all()


def test_a_trial_that_stops_early_pays_the_groups_of_its_own_patients():
    early = (
        "protocols.two_arm.looks.0.when={fractions: [0.5, 1]}",
        "protocols.two_arm.looks.0.rule={kind: group_sequential, spending: {kind: ld_pocock}}",
    )
    record = grouped(100, more=early)
    assert record.cost is not None
    assert (record.randomised < 100).any()
    for replicate in range(0, 128, 8):
        groups = courses(record, replicate, record.randomised[0, replicate])
        assert np.isclose(record.cost.total[0, replicate], 10 * 9 * groups)
