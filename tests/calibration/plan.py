"""Which cases are calibrated, by how many replications."""

from dataclasses import dataclass

from tests.calibration.case import Case
from tests.calibration.map_prior import CASES
from tests.calibration.network import NetworkCase
from tests.calibration.rates import COMPETING, SHARES


@dataclass(frozen=True, eq=False)
class Planned:
    """A case, its replications, and those in which its fault must be found."""

    case: Case
    replications: int
    of_fault: int


PLAN = (
    *(Planned(case, 1000, 300) for case in CASES),
    Planned(SHARES, 200, 60),
    Planned(COMPETING, 200, 60),
    Planned(NetworkCase(), 200, 40),
)

PENDING: tuple[str, ...] = ()
"""Cases whose whole run is not stored yet: an expected failure each, and an error once they are stored."""
