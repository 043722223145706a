"""What every synthesis is: a named fit of evidence, kept in a folder under its digest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from sim.core.errors import InputError
from sim.core.parts import Family

Tell = Callable[[int, int], None]
"""Told how many parts of a long piece of work are done, and how many there are."""


class Synthesis(Family):
    """From evidence to a posterior in a file; the simulator reads the file, never this code."""

    home: ClassVar[str] = "sim.synthesis.models"
    takes: ClassVar[str] = "compiling (half a minute or more), then sampling"

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

    def leave_one_out(self, folder: Path, tell: Tell) -> dict[str, Any]:
        """Foretell each study from the others; write the tables into the finished fit's ``folder``.

        Raises
        ------
        InputError
            This kind of synthesis has no such backtest.
        """
        raise InputError(f"{self.name}: a synthesis of this kind has no backtest by leaving out studies")
