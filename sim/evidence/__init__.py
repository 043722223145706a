"""Reported trials of low back pain: four tables, validated on load."""

from sim.evidence.tables import Evidence, load_evidence

__all__ = ["Evidence", "load_evidence"]
