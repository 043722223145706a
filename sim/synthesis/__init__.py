"""From evidence to claims: fits that the simulator reads from a file."""

from sim.synthesis.base import Synthesis

__all__ = ["Synthesis"]
