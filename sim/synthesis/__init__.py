"""From evidence to claims: fits that the simulator reads from a file."""

from pathlib import Path

from sim.synthesis.base import Synthesis
from sim.synthesis.store import Store

__all__ = ["Store", "Synthesis", "find", "fit"]


def fit(config: Synthesis) -> Path:
    """Find the fit of ``config`` under results/synthesis, or make it; return its folder.

    Raises
    ------
    RunError
        The fit did not converge.
    """
    return Store().fit(config)


def find(config: Synthesis) -> Path | None:
    """Return the folder of the finished fit of ``config``, or None."""
    return Store().find(config)
