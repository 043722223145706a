"""What every synthesis is: a named fit of evidence, kept in a folder under its digest."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from sim.core.parts import Family


class Synthesis(Family):
    """From evidence to a posterior in a file; the simulator reads the file, never this code."""

    home: ClassVar[str] = "sim.synthesis.models"

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    seed: int = Field(ge=0)

    def digest(self) -> str:
        """Name of the content: resolved configuration, evidence used, version of the model."""
        raise NotImplementedError

    def write(self, folder: Path, progress: bool = False) -> None:
        """Fit and write every file of the result into ``folder`` (which exists and is empty).

        Raises
        ------
        RunError
            The fit did not converge; the message names the parameters.
        """
        raise NotImplementedError
