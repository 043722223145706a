"""Which arms go on to the next stage, by their effects at a look (arm, …): larger is better."""

import numpy as np
from numpy.typing import NDArray

from sim.core.errors import InputError
from sim.rules.crossing import Floats

Bools = NDArray[np.bool_]


def best(effect: Floats, going: Bools | None = None, number: int = 1) -> Bools:
    """Take the ``number`` best of the arms that are still ``going``; ties go to the earlier arm."""
    if number < 1:
        raise InputError(f"number: at least 1 arm goes on (given: {number})")
    held = _held(effect, going)
    place = np.argsort(np.argsort(-held, axis=0, kind="stable"), axis=0, kind="stable")
    return np.asarray((place < number) & (held > -np.inf))


def epsilon(effect: Floats, within: float, going: Bools | None = None) -> Bools:
    """Take the arms that are no more than ``within`` below the best (Kelly, Stallard & Todd 2005).

    doi:10.1081/BIP-200062857.
    """
    if within < 0:
        raise InputError(f"within: must be 0 or more (given: {within:g})")
    held = _held(effect, going)
    return np.asarray((held >= held.max(axis=0) - within) & (held > -np.inf))


def promising(effect: Floats, above: float, going: Bools | None = None) -> Bools:
    """Take every arm whose effect is ``above`` a threshold."""
    return np.asarray(_held(effect, going) > above)


def _held(effect: Floats, going: Bools | None) -> Floats:
    held = np.where(np.isnan(effect), -np.inf, effect)
    return held if going is None else np.where(going, held, -np.inf)
