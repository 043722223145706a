"""The closed form: sites that are open from the start, and nobody waits."""

from typing import Literal

from pydantic import Field

from sim.core.loops import run_up
from sim.core.parts import wrong
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.base import Conduct, Intake, Operations
from sim.operations.conditions import Conditions


class OpenDoor(Operations):
    """Poisson arrivals at a constant rate (Anisimov & Fedorov 2007, doi:10.1002/sim.2956, no gamma)."""

    kind: Literal["open_door"] = "open_door"
    sites: int = Field(1, ge=1)

    def check_conditions(self, conditions: Conditions) -> None:
        """Refuse all of them: there are no sites to open late, nobody waits, and visits are on their days."""
        given = [name for name in type(conditions).model_fields if getattr(conditions, name)]
        if given:
            raise wrong(
                f"operations: 'open_door' does not meet the scenario's conditions ({', '.join(given)}); "
                "use 'kind: sites', or leave the conditions out"
            )

    def conduct(self, intake: Intake, streams: Streams) -> Conduct:
        """Add exponential gaps at the rate of all sites together."""
        enrolled = streams("arrival").standard_exponential((len(intake.arm), BLOCK_SIZE))
        run_up(enrolled)
        enrolled /= self.sites * intake.site_rate
        return Conduct(enrolled=enrolled)
