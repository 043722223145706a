"""Figures of a fit, one kind a module."""
