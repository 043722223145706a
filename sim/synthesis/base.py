"""What every synthesis is: a named fit of evidence, kept in a folder under its digest."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from sim.core.parts import Family


class Synthesis(Family):
    """From evidence to a posterior in a file; the simulator reads the file, never this code."""

    home: ClassVar[str] = "sim.synthesis.models"
    takes: ClassVar[str] = "compiling (about 15 s), then sampling"

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    seed: int = Field(ge=0)

    def beside(self, folder: Path) -> Self:
        """Take files that the configuration names from its own ``folder``; most name none."""
        return self

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
