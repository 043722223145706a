"""Simulation-based calibration of the syntheses: ``make calibrate`` runs it."""
