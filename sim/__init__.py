"""Clinical-trial simulation for low back pain: reported trials, priors, virtual patients, sample size."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.execution import Plan, run
    from sim.results import Results
    from sim.study import Study

__all__ = ["Plan", "Results", "Study", "run"]

_HOMES = {"Plan": "sim.execution", "Results": "sim.results", "Study": "sim.study", "run": "sim.execution"}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that ``import sim`` costs nothing (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
