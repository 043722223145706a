"""Trials simulated by their sufficient statistics, where no rule needs a patient's row."""
