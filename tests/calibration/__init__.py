"""Simulation-based calibration of the syntheses: ``make calibrate`` runs it (docs/calibration.md)."""
