"""At an interim look: bounds under the information that came, conditional and predictive power."""

from dataclasses import dataclass

import numpy as np

from sim.core.errors import InputError
from sim.rules.boundaries import Boundaries, Design, Side, march
from sim.rules.crossing import Floats, Path, follow, grid
from sim.rules.spending import SpendingFunction, UserSpending


@dataclass(frozen=True)
class Schedule:
    """Information at the looks made, as fractions of the planned maximum, and whether they were all."""

    observed: tuple[float, ...]
    complete: bool = False


def replan(design: Design, schedule: Schedule) -> Path:
    """Recompute the efficacy bounds from the information that came (over- or under-running).

    Alpha is spent at the observed fractions; the last look spends what is left, whether it comes at less
    or more information than planned. Looks not yet made stay where they were planned
    (Lan & DeMets 1983, doi:10.1093/biomet/70.3.659).

    Returns
    -------
    Path
        Bounds at the observed looks and, unless ``schedule`` is complete, at the planned looks to come.

    Raises
    ------
    InputError
        The design has no spending function, or the observed information does not increase.
    """
    spending = design.spending
    if not isinstance(spending, SpendingFunction) or isinstance(spending, UserSpending):
        raise InputError(
            "spending: bounds can be recomputed for spending functions only, such as ld_obrien_fleming"
        )
    observed = schedule.observed
    if not observed or (np.diff(observed, prepend=0.0) <= 0).any():
        raise InputError(f"observed information: must increase from above 0 (given: {list(observed)})")
    to_come = () if schedule.complete else tuple(t for t in design.information if t > observed[-1])
    information = np.array([*observed, *to_come])
    spent = spending.spent(np.minimum(information, 1.0), design.side_alpha)
    if not to_come:
        spent[-1] = design.side_alpha
    nothing = None if design.sided == 2 else Side(z=np.full(len(information), -np.inf))
    return march(information, Side(increments=np.diff(spent, prepend=0.0)), nothing, (0.0, 0.0))


@dataclass(frozen=True)
class Interim:
    """A look that did not stop the trial: its number (from 1) and its z."""

    look: int
    z: float


def conditional_power(found: Boundaries, interim: Interim, drift: float) -> float:
    """Return the probability to cross the efficacy bound at a later look, given the interim z.

    Parameters
    ----------
    drift
        Expected z at full information: ``found.drift`` for the planned alternative, 0 for none,
        z/√t for the current trend (Jennison & Turnbull 2000, chapter 10).
    """
    return float(_onwards(found, interim, (drift, drift)).crossing(drift)[1].sum())


def predictive_power(
    found: Boundaries, interim: Interim, prior: tuple[float, float] = (0.0, np.inf)
) -> float:
    """Return the conditional power averaged over what is believed of the drift after the interim look.

    Parameters
    ----------
    prior
        Mean and standard deviation of the drift before the trial; an endless one is flat
        (Spiegelhalter, Freedman & Blackburn 1986, doi:10.1016/0197-2456(86)90003-6).
    """
    t = _made(found.design, interim)
    precision = 1 / prior[1] ** 2
    mean = (precision * prior[0] + interim.z * np.sqrt(t)) / (precision + t)
    sd = 1 / np.sqrt(precision + t)
    standard, width = grid(-8.0, 8.0, 1.0)
    weights = width * np.exp(-0.5 * standard**2) / np.sqrt(2 * np.pi)
    drifts = mean + sd * standard
    onwards = _onwards(found, interim, (float(drifts[0]), float(drifts[-1])))
    powers = np.array([onwards.crossing(float(drift))[1].sum() for drift in drifts])
    return float(weights @ powers)


def _onwards(found: Boundaries, interim: Interim, reach: tuple[float, float]) -> Path:
    """Return the looks to come as a trial of their own, on the information that they add."""
    made, to_come = _made(found.design, interim), found.design.looks_at[interim.look :]
    added = to_come - made

    def seen_from_here(bounds: Floats) -> Floats:
        return np.asarray(
            (bounds[interim.look :] * np.sqrt(to_come) - interim.z * np.sqrt(made)) / np.sqrt(added)
        )

    return follow(added, seen_from_here(found.path.lower), seen_from_here(found.path.upper), reach)


def _made(design: Design, interim: Interim) -> float:
    """Return the information at the interim look."""
    last = len(design.information)
    if not 1 <= interim.look < last:
        raise InputError(f"look: must be an interim look, 1 to {last - 1} (given: {interim.look})")
    return design.information[interim.look - 1]
