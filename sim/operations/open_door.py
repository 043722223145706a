"""The closed form: sites that are open from the start, and nobody waits."""

from typing import Literal

from pydantic import Field

from sim.core.loops import run_up
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.base import Conduct, Intake, Operations


class OpenDoor(Operations):
    """Poisson arrivals at a constant rate (Anisimov & Fedorov 2007, doi:10.1002/sim.2956, no gamma)."""

    kind: Literal["open_door"] = "open_door"
    sites: int = Field(1, ge=1)

    def conduct(self, intake: Intake, streams: Streams) -> Conduct:
        """Add exponential gaps at the rate of all sites together."""
        enrolled = streams("arrival").standard_exponential((len(intake.arm), BLOCK_SIZE))
        run_up(enrolled)
        enrolled /= self.sites * intake.site_rate
        return Conduct(enrolled=enrolled)
