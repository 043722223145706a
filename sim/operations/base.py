"""What a model of operations has to offer."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.core.parts import Family
from sim.core.streams import Streams

Floats = NDArray[np.float64]


class Operations(Family):
    """How patients come into the trial through time."""

    home: ClassVar[str] = "sim.operations"

    def enrolment(self, n: int, site_rate: Floats, streams: Streams) -> Floats:
        """Week of randomisation of each patient since the first site opened, (patient, replicate).

        Parameters
        ----------
        site_rate
            Patients randomised a week and site, (replicate,).
        """
        raise NotImplementedError
