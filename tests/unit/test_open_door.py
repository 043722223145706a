"""Enrolment through an open door is a Poisson process."""

import numpy as np
import pytest

from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.base import Intake, Operations
from sim.operations.conditions import ConditionLevels
from sim.operations.open_door import OpenDoor
from tests.montecarlo import assert_mc, assert_mean

BLOCKS = 60
PATIENTS, SITES, RATE = 40, 4, 0.25


def enrol(operations: Operations, n: int, rate: np.ndarray, streams: Streams) -> np.ndarray:
    arm = np.zeros((n, BLOCK_SIZE), dtype=np.int64)
    return operations.conduct(
        Intake(arm, (), (), rate, np.ones(BLOCK_SIZE), ConditionLevels()), streams
    ).enrolled


@pytest.fixture(scope="module")
def weeks() -> np.ndarray:
    operations = validate({"kind": "open_door", "sites": SITES}, Operations, "test")
    assert type(operations) is OpenDoor
    rate = np.full(BLOCK_SIZE, RATE)
    blocks = [enrol(operations, PATIENTS, rate, Streams(1, block)) for block in range(BLOCKS)]
    return np.concatenate(blocks, axis=1)


def test_patients_come_one_after_the_other(weeks):
    assert (np.diff(weeks, axis=0) > 0).all()
    assert (weeks > 0).all()


@pytest.mark.parametrize("patient", [1, 10, 40])
def test_the_week_of_a_patient_is_gamma(weeks, patient):
    """The k-th arrival has mean k / λ and variance k / λ², and excess kurtosis 6 / k."""
    total, replicates = SITES * RATE, weeks.shape[1]
    week = weeks[patient - 1]
    assert_mean(week, patient / total, detects=0.1 * np.sqrt(patient) / total)
    variance = patient / total**2
    error = variance * np.sqrt((2 + 6 / patient) / replicates)
    assert_mc(float(week.var(ddof=1)), variance, float(error), detects=0.3 * variance)


def test_gaps_do_not_depend_on_one_another(weeks):
    gaps = np.diff(weeks, axis=0)
    lagged = np.corrcoef(gaps[:-1].ravel(), gaps[1:].ravel())[0, 1]
    assert_mc(float(lagged), 0.0, float(1 / np.sqrt(gaps[1:].size)), detects=0.02)


def test_twice_the_rate_is_half_the_time():
    slow, fast = np.full(BLOCK_SIZE, 0.5), np.full(BLOCK_SIZE, 1.0)
    streams = Streams(1, 0)
    assert np.allclose(enrol(OpenDoor(), 9, slow, streams), 2 * enrol(OpenDoor(), 9, fast, streams))
    assert np.allclose(enrol(OpenDoor(sites=2), 9, slow, streams), enrol(OpenDoor(), 9, fast, streams))
