"""The one place that decides how far a simulated number may lie from the truth."""

import numpy as np

FALSE_ALARM_Z = 5.0
"""Standard errors allowed: a correct routine fails once in 1.7 million."""
POWER_Z = 3.0
"""Standard errors beyond the limit at which a fault is caught with probability 0.999."""


def assert_mc(estimate: float, truth: float, se: float, detects: float, z: float = FALSE_ALARM_Z) -> None:
    """Fail if a simulated estimate lies more than ``z`` standard errors from the truth.

    ``detects`` is the fault that the check is there for: it refuses to run where the simulation is too
    small to show it.
    """
    assert se > 0, "a standard error of zero cannot show anything"
    needed = (z + POWER_Z) * se
    assert needed <= detects, (
        f"too few replicates: a fault of {detects:g} needs a standard error of {detects / 8:g}"
    )
    distance = abs(estimate - truth) / se
    assert distance <= z, f"{estimate:.5f} is {distance:.1f} standard errors from {truth:.5f}"


def assert_share(hits: np.ndarray, truth: float, detects: float, z: float = FALSE_ALARM_Z) -> None:
    """Hold a share of replicates to its true probability, with the binomial standard error."""
    assert_mc(float(np.mean(hits)), truth, float(np.sqrt(truth * (1 - truth) / hits.size)), detects, z)


def assert_mean(values: np.ndarray, truth: float, detects: float, z: float = FALSE_ALARM_Z) -> None:
    """Hold a mean over independent values to its expectation, with the empirical standard error."""
    assert_mc(float(values.mean()), truth, float(values.std(ddof=1) / np.sqrt(values.size)), detects, z)
