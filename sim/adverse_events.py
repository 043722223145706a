"""Adverse events, and what a patient makes of them in a blinded trial."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.claims import Claim
from sim.core.parts import Part
from sim.core.streams import Streams
from sim.treatments import TreatmentLevels

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Mask = NDArray[np.bool_]


class Unblinding(Part):
    """Functional unblinding: who has one of these events believes to be on the active drug.

    The belief shifts the rating, in every arm alike. Why it is asked: Moncrieff, Wessely & Hardy 2004, a
    Cochrane review of active placebos (doi:10.1002/14651858.CD003012.pub2).
    """

    events: tuple[str, ...] = Field(min_length=1)
    shift: Claim = Field(description="change of the rating by the belief, points; negative is better")


def react(arm: Ints, arms: Sequence[TreatmentLevels], streams: Streams) -> dict[str, Mask]:
    """Draw who has each adverse event that any arm knows, (patient, replicate).

    One uniform a patient and event: the same patient meets every arm.
    """
    names = dict.fromkeys(name for levels in arms for name in levels.adverse_events)
    return {name: _has(name, arm, arms, streams) for name in names}


def _has(name: str, arm: Ints, arms: Sequence[TreatmentLevels], streams: Streams) -> Mask:
    zero = np.zeros(arm.shape[1])
    share = np.stack([levels.adverse_events.get(name, zero) for levels in arms])
    place = arm * arm.shape[1] + np.arange(arm.shape[1])
    return np.asarray(streams(f"adverse event {name}").random(arm.shape) < np.take(share.ravel(), place))


def believes(unblinding: Unblinding, events: Mapping[str, Mask], shape: tuple[int, ...]) -> Mask:
    """Say who has one of the telling events, (patient, replicate)."""
    found = np.zeros(shape, dtype=bool)
    for name in unblinding.events:
        if name in events:
            found |= events[name]
    return found
